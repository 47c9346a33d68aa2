"""algoperf_pt: which training algorithm trains neural networks fastest?  Importing this costs
nothing.
"""

__version__ = "0.1.0"
