"""python -m algoperf_pt.check PATH [KEY=VALUE ...]: is this submission within the rules?"""

import argparse
import sys
from collections.abc import Callable, Sequence
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory

from algoperf_pt.check.examine import Options, examine
from algoperf_pt.check.runs import tiny_workloads
from algoperf_pt.command import check_json, check_overrides, exit_code_of
from algoperf_pt.errors import ConfigError
from algoperf_pt.records import write_atomically

_STEPS, _TIMEOUT = 8, 900.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 pass or warnings, 1 a failure (with --strict a warning too), 2 bad input."""
    typed = _parser().parse_intermixed_args(arguments)
    return exit_code_of(lambda: _check(typed))


def _check(typed: argparse.Namespace) -> int:
    options = _options(typed)
    with TemporaryDirectory() as scratch:
        report = examine(typed.path, options, Path(scratch), _progress(typed.quiet))
    if typed.json:
        write_atomically(typed.json, report.as_json())
    print("\n".join(report.lines()))
    print(f"{report.worst}: {report.name}, {_on(report.workloads)}")
    return report.exit_code(typed.strict)


def _options(typed: argparse.Namespace) -> Options:
    check_overrides(typed.overrides)
    check_json(typed.json)
    if typed.steps < 2:
        raise ConfigError(f"--steps {typed.steps}", expected="at least 2", where="--steps")
    workloads = tiny_workloads() if typed.workloads is None else typed.workloads.split(",")
    chosen = [] if typed.static else workloads
    return Options(typed.overrides, chosen, typed.data, typed.steps, typed.timeout)


def _progress(quiet: bool) -> Callable[[str], None]:
    def tell(text: str) -> None:
        if not quiet:
            print(text, file=sys.stderr, flush=True)

    return tell


def _on(workloads: Sequence[str]) -> str:
    return f"run on {', '.join(workloads)}" if workloads else "not run"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m algoperf_pt.check",
        description="Is this submission within the rules?  docs/check.md says what is checked.",
        epilog="Only run what you would run anyway: a check executes the submission.",
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a folder of `algoperf_pt.new submission`, a YAML, FILE.py[:Class], "
        "package.module.Class, a name in conf/submission, or a submission.py for AlgoPerf",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for algoperf-train")
    parser.add_argument("--workloads", metavar="A,B", help="by default every tiny one")
    parser.add_argument("--static", action="store_true", help="read the source, run nothing")
    parser.add_argument("--steps", type=int, default=_STEPS, help=f"of each run ({_STEPS})")
    data = Path(environ.get("ALGOPERF_DATA", "data"))
    parser.add_argument(
        "--data", type=Path, default=data, help=f"prepared data; what is missing is drawn ({data})"
    )
    parser.add_argument("--timeout", type=float, default=_TIMEOUT, help="s, of a run (900)")
    parser.add_argument("--strict", action="store_true", help="a warning is a failure too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    parser.add_argument("--quiet", action="store_true", help="no line a workload while it runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
