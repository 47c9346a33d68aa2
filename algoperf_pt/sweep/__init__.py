"""How do many trials run?  Plan, queue, backends and live table of `train.py -m`
(docs/running_many.md).  No torch here.
"""
