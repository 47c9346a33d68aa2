"""python -m algoperf_pt.watch EXPERIMENTS [--once | --serve]: how are the trials doing?"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from algoperf_pt.errors import AlgoperfError, ConfigError
from algoperf_pt.status import EXIT_CODES, Status
from algoperf_pt.watch.server import serve
from algoperf_pt.watch.terminal import follow, print_once
from algoperf_pt.watch.tree import GROUPINGS, Tree


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or that of a wrong command."""
    options = _parser().parse_args(arguments)
    try:
        _check(options)
        _watch(options)
    except KeyboardInterrupt:  # how one leaves
        return 0
    except BrokenPipeError:  # the reader has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_CODES[Status.CONFIG_ERROR]
    return 0


def _watch(options: argparse.Namespace) -> None:
    tree = Tree(options.experiments, options.stalled)
    if options.serve:
        serve(tree, options.host, options.port, options.refresh)
    elif options.once:
        print_once(tree, options.group)
    else:
        follow(tree, options.group, options.refresh)


def _check(options: argparse.Namespace) -> None:
    if not options.experiments.is_dir():
        raise ConfigError(
            f"{options.experiments} is no folder",
            expected="the folder that trials write into (experiment_dir), or a part of it",
            where="command line",
        )
    for name in ("refresh", "stalled"):
        seconds = getattr(options, name)
        if seconds is not None and not 0.1 <= seconds <= 86400:
            raise ConfigError(
                f"--{name} {seconds:g}", expected="seconds, 0.1 to 86400", where="command line"
            )
    if not 0 <= options.port <= 65535:
        raise ConfigError(f"--port {options.port}", expected="0 to 65535", where="command line")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m algoperf_pt.watch",
        description="All trials under a folder, running and ended, on a terminal or in a browser.",
    )
    default = os.environ.get("ALGOPERF_EXPERIMENTS", "experiments")
    parser.add_argument(
        "experiments", nargs="?", type=Path, default=Path(default), help=f"folder ({default})"
    )
    parser.add_argument("--once", action="store_true", help="print the table and leave")
    parser.add_argument("--refresh", type=float, default=2.0, help="s between looks (2)")
    parser.add_argument("--group", choices=GROUPINGS, default=GROUPINGS[0], help="(workload)")
    parser.add_argument(
        "--stalled", type=float, metavar="S", help="s of silence; else as the trial's trainer says"
    )
    parser.add_argument("--serve", action="store_true", help="for a browser")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="(0: any that is free)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
