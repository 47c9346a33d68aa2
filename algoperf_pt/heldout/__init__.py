"""Workloads that no algorithm was tuned on: AlgoPerf 0.5's are drawn, and new ones made."""
