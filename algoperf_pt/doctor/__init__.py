"""Is this machine fit for a trial?  `python -m algoperf_pt.doctor` looks at versions, GPU, NCCL,
numerics, data, disk and limits, and prints a line for each problem with its fix: docs/doctor.md.
"""
