"""How fast is this machine?  `python -m algoperf_pt.calibrate` times fixed kernels and a step of
each workload; the JSON that it writes travels with every trial of the machine: docs/calibrate.md.
"""
