"""python -m algoperf_pt.rank FOLDER: one worker of a trial that the driver started; its
configuration lies in FOLDER.
"""

import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from algoperf_pt.config import register_resolvers
from algoperf_pt.driver import CONFIG, ranks_locked, run_rank
from algoperf_pt.orphans import die_with


def main() -> None:
    """Run this rank of the trial in the folder on the command line."""
    die_with(os.getppid(), signal.SIGTERM)  # its launcher: what it leaves saves and ends
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    register_resolvers()
    with ranks_locked(folder) if rank == 0 else nullcontext():
        sys.exit(run_rank(json.loads((folder / CONFIG).read_text()), folder, rank))


if __name__ == "__main__":
    main()
