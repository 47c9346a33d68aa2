"""What do submissions import from AlgoPerf?  Modules of the same names, without JAX or TensorFlow,
which `loading` offers as `algoperf` and as `algorithmic_efficiency`.
"""
