"""Workloads: a folder each."""
