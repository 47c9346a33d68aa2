"""On which hardware were the compared trials run?  Classes, the refusal to mix them, and times
normalised by calibrations.
"""
