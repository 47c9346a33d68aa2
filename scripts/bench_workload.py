"""How fast is a workload?  Training step, evaluation step, loader and a short trial, apart: a JSON
line each.

    python scripts/bench_workload.py --workload cifar --what step eval loader trial --batch 128 \\
        --threads 1 --device cpu --compile off [--data DIR] [workload.model.depth=1 ...]

What the fields are, and how to compare them with the reference's: docs/benchmarks.md.
"""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed

from omegaconf import OmegaConf  # noqa: E402

from algoperf_pt.bench_run import REFERENCE_SUBMISSION, WHAT, Measurements, Plan  # noqa: E402
from algoperf_pt.errors import AlgoperfError  # noqa: E402

_DIGITS = 5  # of a printed figure


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _arguments(arguments)
    overrides = tuple(_overrides(options))
    plan = Plan(
        what=tuple(options.what),
        overrides=overrides,
        batch=options.batch,
        repeats=options.repeats,
        warmup=options.warmup,
        batches=options.batches,
        steps=options.steps,
        made_up=not any(o.startswith("data.dir=") for o in overrides),
    )
    try:
        for line in Measurements(plan).lines():
            print(json.dumps(_rounded(line)), flush=True)
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def _rounded(value: Any) -> Any:
    """Numbers with the digits that a measurement has; NaN and infinity do not occur."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else float(f"{value:.{_DIGITS}g}")


def _overrides(options: argparse.Namespace) -> list[str]:
    """What the options mean as overrides; the typed ones come last and win."""
    typed = options.overrides
    targets = [] if any(o.startswith("targets=") for o in typed) else _targets(options.workload)
    return [
        f"workload={options.workload}",
        f"submission={options.submission}",
        *targets,
        f"trainer.accelerator={options.device}",
        f"trainer.threads={options.threads}",
        f"trainer.compile={'true' if options.compile == 'on' else 'false'}",
        *([f"data.dir={options.data}"] if options.data else []),
        *typed,
    ]


def _targets(name: str) -> list[str]:
    """The newest version that has targets for the workload: no figure here depends on them."""
    folder = ROOT / "conf" / "targets"
    for path in sorted(folder.glob("v*.yaml"), reverse=True):
        nodes = [OmegaConf.load(path)]
        parents = [parent for parent in nodes[0].get("defaults", []) if parent != "_self_"]
        nodes += [OmegaConf.load(folder / f"{parent}.yaml") for parent in parents]
        if any(name in node.get("workloads", {}) for node in nodes):
            return [f"targets={path.stem}"]
    return []  # the configuration's check will say so


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", required=True, help="name in conf/workload")
    parser.add_argument(
        "--what", nargs="+", default=["step", "eval"], help=f"some of {', '.join(WHAT)}"
    )
    parser.add_argument("--batch", type=_positive, help="rows; else the workload's own sizes")
    parser.add_argument("--threads", type=_positive, default=1, help="of the CPU")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--compile", choices=("on", "off"), default="off", help="on: what the YAML says"
    )
    parser.add_argument("--repeats", type=_positive, default=5)
    parser.add_argument("--warmup", type=_whole, default=2)
    parser.add_argument("--batches", type=_positive, default=16, help="a repetition of the loader")
    parser.add_argument("--steps", type=_positive, default=20, help="of the trial")
    parser.add_argument("--data", type=Path, help="data.dir; else data are made up")
    parser.add_argument("--submission", default=REFERENCE_SUBMISSION)
    parser.add_argument("overrides", nargs="*", help="of the configuration: KEY=VALUE")
    options = parser.parse_intermixed_args(arguments)
    options.overrides += [word for word in options.what if "=" in word]  # they came right after
    options.what = [word for word in options.what if "=" not in word]
    wrong = [word for word in options.what if word not in WHAT]
    if wrong:
        parser.error(f"--what {wrong[0]}: choose from {', '.join(WHAT)}")
    return options


def _whole(text: str, least: int = 0) -> int:
    number = int(text)
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least {least}")
    return number


def _positive(text: str) -> int:
    return _whole(text, 1)


def _end(number: int, _: object) -> None:
    """A signal ends the trial that was started, and takes the made-up data away."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
