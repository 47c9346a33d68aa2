"""python -m algoperf_pt.heldout draw | generate | check: workloads that nobody has tuned on.

    draw --seed 3438810845                        the six of the 2024 competition
    generate wmt --seed 7 --out my_conf --check   a new variant, and whether it trains
    check NAME --config-dir my_conf data.dir=DATA
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from algoperf_pt.command import exit_code_of
from algoperf_pt.errors import ConfigError
from algoperf_pt.heldout.check import Check
from algoperf_pt.heldout.draw import draw, parse_lists
from algoperf_pt.heldout.files import names_of, read_ours, read_yaml
from algoperf_pt.heldout.variant import load_base, make_variant

_SEED_BYTES = 4  # of a seed that is drawn for a new competition
_FAILED = 1  # exit code of a check whose variant does not train


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 where a variant does not train, or that of a wrong command."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    trial = "check" in options and options.check
    if rest and (any(word.startswith("-") for word in rest) or not trial):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.trial = rest
    return exit_code_of(lambda: options.command(options))


def _draw(options: argparse.Namespace) -> int:
    lists = parse_lists(*_lists(options.lists))
    seed = options.seed
    if seed is None:
        seed = int.from_bytes(os.urandom(_SEED_BYTES), "little")
    drawn = draw(lists, seed)
    if options.seed is None:
        print(f"note: seed {seed}, from the machine's own randomness; publish it", file=sys.stderr)
    elif seed == 0:
        print(
            "warning: AlgoPerf's script takes 0 for no seed and draws at random; here 0 is a seed "
            "like others",
            file=sys.stderr,
        )
    names = list(drawn.values())
    print(f"workload={','.join(names)}" if options.overrides else json.dumps(names))
    return 0


def _lists(given: str) -> tuple[object, str]:
    """(content, where it stands) of a file, or of conf/heldout/<given>.yaml."""
    if given.endswith((".yaml", ".yml")):
        return read_yaml(Path(given)), given
    content = read_ours("heldout", given)
    if content is None:
        raise ConfigError(
            f"--lists {given}: there are no such lists",
            expected=f"{' or '.join(names_of('heldout'))}, or a YAML file",
            where="conf/heldout",
        )
    return content, f"conf/heldout/{given}.yaml"


def _generate(options: argparse.Namespace) -> int:
    axes_file = Path(options.axes_file) if options.axes_file else None
    base = load_base(options.workload, axes_file, options.config_dir)
    variant = make_variant(base, options.seed, options.axes)
    if options.out is None:
        if options.check:
            raise ConfigError("--check needs a file", where="command line", fix="--out FOLDER")
        print(variant.text, end="")
        return 0
    print(f"wrote {variant.write(Path(options.out))}")
    print(f"run it: python train.py --config-dir {options.out} workload={variant.name}")
    print(f"it has no targets yet: target setting finds targets.workloads.{variant.name}")
    if not options.check:
        return 0
    options.config_dir, options.workload = options.out, variant.name
    return _check(options)


def _check(options: argparse.Namespace) -> int:
    check = Check(options.steps, options.share, options.config_dir, options.trial)
    verdict = check.run(options.workload)
    print(f"{options.workload} {verdict}", flush=True)
    return 0 if verdict.trains else _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m algoperf_pt.heldout",
        description="Workloads that nobody has tuned on: draw them, make new ones, check them.",
    )
    commands = parser.add_subparsers(required=True)
    drawing = commands.add_parser("draw", help="one variant of each dataset, by a seed")
    drawing.add_argument("--seed", type=int, help="0 or larger; without it the machine's choice")
    drawing.add_argument("--lists", default="v05", help="of conf/heldout, or a YAML file")
    drawing.add_argument(
        "--overrides", action="store_true", help="print workload=A,B,... for -m, not JSON"
    )
    drawing.set_defaults(command=_draw)
    making = commands.add_parser("generate", help="a new variant of a workload, by a seed")
    making.add_argument("workload", help="such as wmt, or wmt_tiny")
    making.add_argument("--seed", type=int, required=True, help="0 or larger")
    making.add_argument("--axes", type=int, default=2, metavar="N", help="that change (2)")
    making.add_argument("--out", metavar="FOLDER", help="for --config-dir; else it is printed")
    making.add_argument("--axes-file", metavar="FILE", help="in place of conf/axes/WORKLOAD.yaml")
    making.add_argument("--check", action="store_true", help="train it for some steps as well")
    making.set_defaults(command=_generate)
    checking = commands.add_parser("check", help="does a workload train?  exit code 1 if not")
    checking.add_argument("workload", help="with its file in --config-dir or in conf")
    checking.set_defaults(command=_check, check=True)
    for command in (making, checking):
        command.add_argument("--config-dir", metavar="FOLDER", help="your own groups")
        command.add_argument("--steps", type=int, default=300, help="of the check's trial (300)")
        command.add_argument(
            "--share", type=float, default=0.1, help="by which its training loss must fall (0.1)"
        )
        command.epilog = "KEY=VALUE: of the check's trial, such as data.dir=FOLDER"
    return parser


if __name__ == "__main__":
    sys.exit(main())
