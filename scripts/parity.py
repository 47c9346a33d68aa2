"""Does a workload compute what the reference does?  python scripts/parity.py --fixture FOLDER

FOLDER is in the golden format (tests/golden/mnist/README.md).  Prints for each key the largest
error, the tolerance and the verdict, then the keys that nothing was compared with.  Exit code: 0
all within tolerance, 1 some are not, 2 the fixture or the workload cannot be used.
"""

import argparse
import importlib
import sys
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout, not installed

import torch  # noqa: E402
from hydra import compose, initialize_config_module  # noqa: E402
from hydra.core.global_hydra import GlobalHydra  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402

from algoperf_pt import schema  # noqa: E402
from algoperf_pt.agreement import Check, matches  # noqa: E402
from algoperf_pt.errors import AlgoperfError, ConfigError  # noqa: E402
from algoperf_pt.golden import Fixture  # noqa: E402
from algoperf_pt.instantiate import import_object  # noqa: E402
from algoperf_pt.parity import Parity  # noqa: E402
from algoperf_pt.spec import WorkloadSpec  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fixture", type=Path, required=True, help="folder with params.json")
    parser.add_argument("--workload", help="name in conf/workload, if params.json does not say it")
    parser.add_argument(
        "--tolerance", action="append", default=[], metavar="KEY=X", help="KEY may hold wildcards"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as the fixtures were made
    try:
        overrides = dict(_tolerance(text) for text in options.tolerance)
        fixture = Fixture(options.fixture)
        name = options.workload or fixture.params.get("workload") or fixture.root.resolve().name
        parity = make_parity(fixture, name, overrides)
        checks = list(parity.checks())
        _refuse_unused(overrides, checks)
        if not any(check.key.startswith("case0/") for check in checks):
            raise ConfigError(f"{fixture.root}/case0.npz has no key to compare {name!r} on")
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    report(name, fixture, checks, parity.not_checked)
    return 0 if all(check.ok for check in checks) else 1


def make_parity(fixture: Fixture, name: str, overrides: dict[str, float]) -> Parity:
    """The comparison that belongs to a workload: `PARITY` of the module `parity` beside it."""
    config = workload_config(name)
    package = config["_target_"].rpartition(".")[0].rpartition(".")[0]
    try:
        kind = importlib.import_module(f"{package}.parity").PARITY
    except ModuleNotFoundError as error:
        if error.name != f"{package}.parity":
            raise  # it is there, and imports something that is not
        raise ConfigError(
            f"workload {name!r} has no module {package}.parity",
            expected="PARITY, a subclass of algoperf_pt.parity.Parity, in it",
            where=f"conf/workload/{name}.yaml: _target_",
        ) from error
    workload = import_object(config["_target_"], "workload._target_")
    made = workload(spec=make_spec(config), data=None, model=config["model"])
    parity: Parity = kind(fixture, made, config["data"]["options"], overrides)
    return parity


def workload_config(name: str) -> dict[str, Any]:
    """conf/workload/<name>.yaml with its base, checked against the schema."""
    choices = sorted(path.name[:-5] for path in (files("conf") / "workload").iterdir())
    if name not in choices:
        raise ConfigError(
            f"there is no workload {name!r}",
            expected=f"one of {', '.join(choices)}",
            where="params.json: workload",
            fix="--workload NAME, or add conf/workload",
        )
    schema.register()
    GlobalHydra.instance().clear()
    with initialize_config_module("conf", version_base="1.3"):
        node = compose("train", [f"workload={name}"])
    config: Any = OmegaConf.to_container(node.workload, resolve=True)
    return dict(config)


def make_spec(config: dict[str, Any]) -> WorkloadSpec:
    """A spec without targets and budget: a fixture belongs to no benchmark version."""
    return WorkloadSpec(
        name=config["name"],
        version="none",
        metric="none",
        direction="max",
        strict=True,
        validation_target=float("nan"),
        test_target=None,
        max_runtime=float("inf"),
        budget_factor=1.0,
        eval_period=float("inf"),
        step_hint=1,
        num_examples=MappingProxyType(config["num_examples"]),
        eval_batch_size=config["eval_batch_size"],
        baseline_batch_size=config["baseline_batch_size"],
        loss_type=config["loss_type"],
        dropout_rate=config["dropout_rate"],
    )


def report(name: str, fixture: Fixture, checks: list[Check], not_checked: list[str]) -> None:
    """The table, the keys without a check, the verdict."""
    width = max(len(check.key) for check in checks)
    print(f"{name} against {fixture.root}")
    print(f"{'key':{width}}  {'error':>9}  {'tolerance':>9}  {'relative to':14}  verdict")
    for check in checks:
        verdict = ("ok" if check.ok else "FAIL") + (f"  {check.note}" if check.note else "")
        numbers = f"{check.error:9.2e}  {check.tolerance.limit:9.2e}  {check.tolerance.kind:14}"
        print(f"{check.key:{width}}  {numbers}  {verdict}")
    print("not checked: " + (", ".join(not_checked) if not_checked else "nothing"))
    failed = [check.key for check in checks if not check.ok]
    print(f"{len(checks)} checks, {len(failed)} failed" + "".join(f" {key}" for key in failed))


def _tolerance(text: str) -> tuple[str, float]:
    key, equals, value = text.rpartition("=")
    try:
        limit = float(value)
    except ValueError:
        limit = float("nan")
    if not (equals and key and limit >= 0.0):
        raise ConfigError(f"--tolerance {text}", expected="KEY=NUMBER, the number not below 0")
    return key, limit


def _refuse_unused(overrides: dict[str, float], checks: list[Check]) -> None:
    keys = [check.key for check in checks]
    for pattern in overrides:
        if not any(matches(key, pattern) for key in keys):
            raise ConfigError(
                f"--tolerance {pattern}: no such key was checked", expected=", ".join(keys)
            )


if __name__ == "__main__":
    sys.exit(main())
