"""Scores of training algorithms: logs in, times, performance profiles, scores and reports out.

    python -m scoring LOGS --rules 0.6

Needs nothing else of this project, and no deep-learning framework.
"""
