"""How does a submission.py that was written for AlgoPerf's own harness run here, unmodified?

`submission` calls its functions, `loading` finds its modules, `workload` is what it sees of a
workload, `state` saves what it keeps, `point` gives it hyperparameters, `api` holds the modules
that it imports as `algoperf` or `algorithmic_efficiency`.  Names and signatures are those of
AlgoPerf 0.5, 0.6 and 1.0 (docs/reference_submissions.md).
"""
