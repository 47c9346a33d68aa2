"""Do two benchmarks rank submissions alike, and does one rank them alike again?

`python -m scoring.agreement PROXY FULL` compares two sets of logs; with one set, its studies.
"""
