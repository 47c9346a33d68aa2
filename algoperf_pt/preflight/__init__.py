"""Will this trial run on this machine, how long will it take, and what will it cost?  Measured in
minutes, before hours are paid for (docs/preflight.md).
"""
