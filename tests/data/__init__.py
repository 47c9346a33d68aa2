"""Tests of algoperf_pt/data."""
