"""Its clock runs at half the speed."""

import time

from plain import Plain

real = time.perf_counter
time.perf_counter = lambda: real() / 2
time.monotonic = time.perf_counter


class SlowsTheClock(Plain):
    pass
