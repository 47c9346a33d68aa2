"""Which rules does a name stand for?  Reads the TOML files beside this one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from scoring.errors import RulesError
from scoring.logs.trial import Logs
from scoring.rules.from_logs import most_of, workloads_of
from scoring.rules.model import Rules, Workload

FILES = {"0.5": "v05", "0.6": "v06", "1.0": "v10", "development": "development"}
RULESETS = ("external", "self")


def load_rules(version: str, ruleset: str = "external", logs: Logs | None = None) -> Rules:
    """The rules of a version.

    Args:
        version: "0.5", "0.6", "1.0" (also with a v in front), or "development".
        ruleset: "external" or "self".
        logs: for "development", whose workloads are those of the logs.

    Raises:
        RulesError: no such rules; the logs do not say what their targets are.
    """
    data = _data(version.removeprefix("v"))
    if ruleset not in RULESETS:
        raise RulesError(f"ruleset is {ruleset!r}; expected one of {', '.join(RULESETS)}")
    asked = data["rulesets"][ruleset]
    if "goals" in data:
        logs = logs or Logs(())
        workloads = workloads_of(logs, data["goals"])
        studies, trials = most_of(logs)
    else:
        workloads = _workloads(data, asked["budget_factor"])
        studies, trials = asked["studies"], asked["trials"]
    return Rules(
        version=data["version"],
        ruleset=ruleset,
        workloads=workloads,
        studies=studies,
        trials=trials,
        budget_factor=asked["budget_factor"],
        hardware=data["hardware"],
        qualification=tuple(data.get("qualification", ())),
        name=data.get("name", ""),
    )


def _data(version: str) -> dict[str, Any]:
    if version not in FILES:
        raise RulesError(f"no rules of version {version!r}; there are {', '.join(FILES)}")
    path = files("scoring.rules") / f"{FILES[version]}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _workloads(data: Mapping[str, Any], factor: float) -> tuple[Workload, ...]:
    budgets = {name: row["budget"] for name, row in data["workloads"].items()}
    rows = {**data["workloads"], **data.get("held_out", {})}
    return tuple(_workload(name, row, budgets, factor) for name, row in rows.items())


def _workload(
    name: str, row: Mapping[str, Any], budgets: Mapping[str, float], factor: float
) -> Workload:
    base = row.get("base", "")
    budget = float(budgets[base or name])
    tested = "test_target" in row
    return Workload(
        name=name,
        column=f"validation/{row['metric']}",
        goal=row["goal"],
        target=row["target"],
        budget=factor * budget,
        base=base,
        test_column=f"test/{row['metric']}" if tested else "",
        test_target=row.get("test_target"),
        base_budget=budget,
    )
