"""python -m algoperf_pt.rank FOLDER: one worker of a trial that the driver started; its
configuration lies in FOLDER.
"""

import json
import os
import sys
from pathlib import Path

from algoperf_pt.config import register_resolvers
from algoperf_pt.driver import CONFIG, run_rank


def main() -> None:
    """Run this rank of the trial in the folder on the command line."""
    folder = Path(sys.argv[1])
    register_resolvers()
    sys.exit(run_rank(json.loads((folder / CONFIG).read_text()), folder, int(os.environ["RANK"])))


if __name__ == "__main__":
    main()
