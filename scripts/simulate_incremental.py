"""How much machine time would an incremental evaluation have saved, at which error?

    python scripts/simulate_incremental.py LOGS --rules 0.5 [--confidence 1 0.99 0.95 0.9]

On finished logs: each submission in turn is evaluated against all others; a line for each
confidence.  1 stops when nothing that is still open can change a place; halving drops the worse
half of a study's trials.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed

from scoring.incremental.policy import Rules as Policy  # noqa: E402
from scoring.incremental.replay import Outcome, replay  # noqa: E402
from scoring.logs.read import read_logs  # noqa: E402
from scoring.rules.load import load_rules  # noqa: E402

HEAD = ("stop at", "halving", "hours", "needed", "saved", "pairs", "wrong places", "width of score")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = _options(arguments)
    logs = read_logs(options.logs)
    rules = load_rules(options.rules, options.ruleset)
    print(f"{rules.title}, without held-out workloads; {len(logs.submissions)} submissions\n")
    print("| " + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|", flush=True)
    for halving in (False, True):
        for confidence in options.confidence:
            found = replay(logs, rules, Policy(confidence, halving, options.seed))
            print(line(confidence, halving, found), flush=True)
            if options.each:
                for one in found:
                    print(f"  {one}", flush=True)
    return 0


def line(confidence: float, halving: bool, found: Sequence[Outcome]) -> str:
    """A line of the table."""
    hours = sum(one.hours for one in found)
    needed = sum(one.hours * one.share for one in found)
    pairs, wrong = sum(one.pairs for one in found), sum(one.wrong for one in found)
    width = sum(one.most - one.least for one in found) / len(found)
    cells = (
        "bounds" if confidence == 1 else f"{confidence:g}",
        "yes" if halving else "no",
        f"{hours:,.0f}",
        f"{needed:,.0f}",
        f"{100 * (1 - needed / hours):.0f} %",
        str(pairs),
        f"{wrong} ({100 * wrong / pairs:.1f} %)",
        f"{width:.3f}",
    )
    return "| " + " | ".join(cells) + " |"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="+", type=Path)
    parser.add_argument("--rules", default="0.6", help="version of the rules")
    parser.add_argument("--ruleset", default="external", choices=("external", "self"))
    parser.add_argument("--confidence", nargs="+", type=float, default=[1.0, 0.99, 0.95, 0.9])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", action="store_true", help="also a line for each submission")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
