"""python -m algoperf_pt.calibrate [--quick] [workload=A,B]: how fast is this machine?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from algoperf_pt.calibrate.measure import QUICK, REPEATS, Plan, calibrate, sizes
from algoperf_pt.calibrate.record import default_path, write
from algoperf_pt.command import exit_code_of
from algoperf_pt.cores import usable_cores
from algoperf_pt.errors import ConfigError
from algoperf_pt.versions import compose_somehow

_WORKLOAD = "workload="


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 for bad input."""
    typed = _parser().parse_intermixed_args(arguments)
    return exit_code_of(lambda: _calibrate(typed))


def _calibrate(typed: argparse.Namespace) -> int:
    path = typed.out or default_path()
    content = calibrate(_plan(typed))
    write(path, content)
    load, cores = max(content["load"]), usable_cores()
    print(f"class {content['hardware_class']}; wrote {path}")
    if load > 0.5 * cores + 0.5:
        text = f"load {load:g} on {cores} cores: other programs ran, and made these times longer"
        print(f"calibrate: {text}", file=sys.stderr)
    return 0


def _plan(typed: argparse.Namespace) -> Plan:
    device = _device(typed.device)
    threads = usable_cores() if typed.threads is None else typed.threads
    if threads < 1:
        raise ConfigError(f"--threads {threads}", expected="at least 1", where="command line")
    names = _workloads(typed.overrides)
    for name in names or ():
        compose_somehow([f"workload={name}"])  # an unknown name is told before anything is measured
    chosen = sizes(device)["workloads"] if names is None else names
    return Plan(device, threads, chosen, QUICK if typed.quick else REPEATS)


def _device(name: str) -> torch.device:
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError(
            "--device cuda: torch sees no GPU", where="command line", fix="--device cpu"
        )
    return torch.device("cuda" if name != "cpu" and there else "cpu")


def _workloads(words: Sequence[str]) -> list[str] | None:
    """Names that were typed; None: those of sizes.yaml."""
    wrong = next((word for word in words if not word.startswith(_WORKLOAD)), None)
    if wrong is not None:
        raise ConfigError(f"{wrong!r}", expected="workload=A,B", where="command line")
    if not words:
        return None
    names = [name for word in words for name in word.removeprefix(_WORKLOAD).split(",")]
    return [name for name in names if name not in ("", "none")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m algoperf_pt.calibrate",
        description="How fast is this machine?  docs/calibrate.md says what is timed and why.",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="workload=A,B",
        help="whose steps are timed; workload=none: kernels alone",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"({default_path()})")
    text = f"{QUICK} repetitions instead of {REPEATS}; sizes are the same"
    parser.add_argument("--quick", action="store_true", help=text)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, metavar="N", help="of the CPU (all cores)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
