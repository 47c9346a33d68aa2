"""Where do targets come from?  The paper's procedure (arXiv 2306.07179, section 5), as a command.

Four recipes are searched with quasi-random points; the best one is run again with other seeds; the
validation target is the median of their best results, the test target the worst test result among
those that reached it.
"""
