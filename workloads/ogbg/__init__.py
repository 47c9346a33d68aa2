"""Molecules and 128 questions about them: a graph network, judged by mean average precision."""
