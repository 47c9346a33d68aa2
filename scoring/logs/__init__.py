"""What do the logs hold?  AlgoPerf's public layout and this project's own, read once, with a record
of everything that was missing or could not be read.
"""
