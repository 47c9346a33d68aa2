"""Hydra's sweeper and launchers of algoperf_pt; their work is done in algoperf_pt/sweep."""
