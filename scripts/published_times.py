"""Which times does a public leaderboard hold?  Writes the csv that `--against` reads.

    python scripts/published_times.py LOGS --rules 0.6 --ruleset external --out FILE.csv
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed

from scoring.against.published import write  # noqa: E402
from scoring.logs.read import read_logs  # noqa: E402
from scoring.rules.load import RULESETS, load_rules  # noqa: E402
from scoring.times import trial_times  # noqa: E402

SOURCE = "logs of github.com/mlcommons/submissions_algorithms (Apache-2.0)"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="+")
    parser.add_argument("--rules", required=True)
    parser.add_argument("--ruleset", choices=RULESETS, default="external")
    parser.add_argument("--source", default=SOURCE)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rules, logs = load_rules(options.rules, options.ruleset), read_logs(options.logs)
    seconds, steps = (trial_times(logs, rules, clock) for clock in ("seconds", "steps"))
    write(options.out, seconds, steps, options.source, rules.hardware)


if __name__ == "__main__":
    main()
