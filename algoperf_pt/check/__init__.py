"""Is a submission within the rules?  `python -m algoperf_pt.check PATH` reads its source and runs a
few steps of it on the tiny workloads; docs/check.md says what it finds and what it cannot.
"""
