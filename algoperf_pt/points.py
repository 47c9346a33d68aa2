"""Which points does a search space have, and who takes which?  `python -m algoperf_pt.points SPACE`
prints them; SPACE is a submission of conf/submission or your own folder, or a JSON or YAML file.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from algoperf_pt import schema
from algoperf_pt.config import explain, register_resolvers, search_path
from algoperf_pt.errors import AlgoperfError, ConfigError
from algoperf_pt.tuning.assignment import assigned
from algoperf_pt.tuning.files import SUFFIXES, load
from algoperf_pt.tuning.points import points
from algoperf_pt.tuning.space import Space, parse_space
from algoperf_pt.tuning.taking import plain, space_of

_NUMBER = 15  # points of the three studies of five trials of version 0.6


def space_named(name: str, config_dir: str | None = None) -> Space:
    """The space of a file, or of a submission.

    Args:
        name: path of a JSON or YAML file, or NAME of submission=NAME.
        config_dir: the user's own folder of configuration groups.

    Raises:
        ConfigError: nothing of this name, no space in it, or none that is valid.
    """
    if name.endswith(SUFFIXES):
        if not Path(name).is_file():
            raise ConfigError(f"there is no file {name}", expected="a JSON or YAML file")
        return parse_space(load(Path(name)), name)
    space = space_of(_submission(name, config_dir))
    if space is None:
        raise ConfigError(
            f"submission={name} has neither points nor a space",
            expected="points to draw; all its trials take the same values",
        )
    return space


def _submission(name: str, config_dir: str | None) -> dict[str, Any]:
    schema.register()
    register_resolvers()
    GlobalHydra.instance().clear()
    words = ["workload=digits", f"submission={name}"]  # any workload: spaces do not depend on it
    with initialize_config_module("conf", version_base="1.3"):
        try:
            return plain(compose("train", [*search_path(config_dir, words), *words]).submission)
        except (HydraException, OmegaConfBaseException) as error:
            raise explain(error, words) from error


def rows_of(space: Space, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each point: {"study", "trial"} or {"index"} beside {"point": {name: value}}."""
    if options.studies is None:
        drawn = points(space, options.n or _NUMBER, options.seed)
        return [{"index": index, "point": point} for index, point in enumerate(drawn)]
    dealt = assigned(space, options.studies, options.trials, options.seed or 0)
    return [{"study": k, "trial": n, "point": point} for (k, n), point in dealt.items()]


def show(rows: list[dict[str, Any]]) -> None:
    """By rich on a terminal that is wide enough; elsewhere plain lines that are never cut."""
    flat = [{**{k: v for k, v in row.items() if k != "point"}, **row["point"]} for row in rows]
    lines = [list(flat[0]), *([_short(value) for value in row.values()] for row in flat)]
    widths = [max(len(line[c]) for line in lines) for c in range(len(lines[0]))]
    if sys.stdout.isatty() and _show_rich(lines, sum(widths) + 3 * len(widths) + 1):
        return
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))


def _show_rich(lines: list[list[str]], width: int) -> bool:
    from rich.console import Console
    from rich.table import Table

    console, table = Console(), Table()
    if console.width < width:
        return False
    for name in lines[0]:
        table.add_column(name, justify="right")
    for line in lines[1:]:
        table.add_row(*line)
    console.print(table)
    return True


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def main(arguments: list[str] | None = None) -> None:
    """python -m algoperf_pt.points SPACE [--n N | --studies K --trials N]; see --help."""
    options = _parser().parse_args(arguments)
    try:
        _check(options)
        rows = rows_of(space_named(options.space, options.config_dir), options)
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    if options.json:
        only = options.studies is None
        print(json.dumps([row["point"] if only else row for row in rows], indent=1))
    else:
        show(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m algoperf_pt.points", description=__doc__)
    parser.add_argument("space", metavar="SPACE", help="submission, JSON or YAML file")
    parser.add_argument("--n", type=int, metavar="N", help=f"number of points (default {_NUMBER})")
    parser.add_argument("--studies", type=int, metavar="K", help="show who takes which of K x N")
    parser.add_argument("--trials", type=int, metavar="N", help="trials of each study")
    parser.add_argument(
        "--seed", type=int, help="order of quasi-random points; default: theirs, in studies 0"
    )
    parser.add_argument("--json", action="store_true", help="all digits, as JSON")
    parser.add_argument("--config-dir", metavar="DIR", help="your own configuration groups")
    return parser


def _check(options: argparse.Namespace) -> None:
    studies, trials = options.studies, options.trials
    if (studies is None) != (trials is None):
        raise ConfigError("one of --studies and --trials is missing", expected="both, or --n N")
    if studies is not None and options.n is not None:
        raise ConfigError("--n and --studies both say how many points", expected="one of the two")
    for name in ("n", "studies", "trials"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise ConfigError(
                f"--{name} {getattr(options, name)}: impossible value", expected="at least 1"
            )


if __name__ == "__main__":
    main()
