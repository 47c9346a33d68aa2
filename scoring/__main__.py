"""`python -m scoring`."""

import io
import sys

from scoring.cli import main

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # marks, on a terminal without them
    sys.exit(main())
