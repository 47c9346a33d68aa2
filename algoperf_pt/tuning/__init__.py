"""How are hyperparameters tuned from outside?  Search spaces, their quasi-random points, and which
trial takes which.
"""
