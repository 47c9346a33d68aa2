"""python -m algoperf_pt.preflight workload=W submission=S [KEY=VALUE ...]: will this trial run on
this machine, how long, and at what price?
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from algoperf_pt.command import check_json, check_overrides, exit_code_of
from algoperf_pt.config import search_path
from algoperf_pt.errors import ConfigError
from algoperf_pt.preflight.attempts import TRAINING, Attempts
from algoperf_pt.preflight.cost import Cost, make_cost, whole_benchmark
from algoperf_pt.preflight.judge import say_cost, say_phases, say_size
from algoperf_pt.preflight.places import check_data, check_disk
from algoperf_pt.preflight.report import OK, Report, duration
from algoperf_pt.records import write_atomically
from algoperf_pt.spec import make_spec
from algoperf_pt.versions import compose_somehow

_OURS = ("logger", "display", "eval_every_steps", "max_steps", "pause_at")  # not measured with
_BY_YAML = "submission.batch_size={}"
_BY_CODE = "submission.batch_size={0}, where the class reads it; else its batch_size returns {0}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 ready, with warnings or without; 1 not ready; 2 bad input."""
    typed = _parser().parse_intermixed_args(arguments)
    return exit_code_of(lambda: _fly(typed))


def _fly(typed: argparse.Namespace) -> int:
    _check(typed)
    words = [w for w in typed.overrides if w.partition("=")[0].split(".")[0] not in _OURS]
    config, words = compose_somehow([*words, "logger=csv", "display=none"], typed.config_dir)
    report = preflight(config, words, typed)
    if typed.json:
        write_atomically(typed.json, json.dumps(report.as_dict(), indent=1) + "\n")
    report.print()
    return report.exit_code


def preflight(config: dict[str, Any], words: Sequence[str], typed: argparse.Namespace) -> Report:
    """All checks, one after the other; what cannot be done any more is said."""
    names = (config["workload"]["name"], config["submission"]["name"])
    rules = f"rule set {config['ruleset']['name']} of version {config['targets']['version']}"
    report = Report(f"{names[0]} / {names[1]}, {rules}")
    if not check_data(report, config, typed.hash):
        return report
    with TemporaryDirectory(prefix="preflight_") as scratch:
        limit = None if typed.memory_gb is None else typed.memory_gb * 1e9
        attempts = Attempts(config, Path(scratch), typed.seconds, limit, typed.timeout)
        seen = attempts.measure()
        spec = make_spec(config)
        say_phases(report, seen, spec)
        report.facts["phases"] = seen.phases
        if seen.oom and seen.failed in TRAINING and "set-up" in seen.phases:
            _search(report, seen.phases["set-up"], attempts, config)
    numbers = config["targets"]["rulesets"][config["ruleset"]["name"]]
    size = seen.phases.get("checkpoint", {}).get("bytes")
    check_disk(report, config, numbers["studies"] * numbers["trials"], size)
    if {"set-up", "evaluation", "checkpoint"} <= seen.phases.keys():
        cost = make_cost(spec, config, seen.phases)
        say_cost(report, cost, seen.phases["evaluation"], spec)
        _say_price(report, cost, config, words, typed)
    return report


def _search(
    report: Report, found: dict[str, Any], attempts: Attempts, config: dict[str, Any]
) -> None:
    rows, wrong = attempts.search(found["rows"])
    key = _BY_CODE if config["submission"]["options"] else _BY_YAML
    say_size(report, found["rows"], found["ranks"], rows, wrong, key)
    report.facts["largest_batch_size"] = rows * found["ranks"]


def _say_price(
    report: Report,
    cost: Cost,
    config: dict[str, Any],
    words: Sequence[str],
    typed: argparse.Namespace,
) -> None:
    """Hours of the whole benchmark, and the price of all hours."""
    facts: dict[str, Any] = {**vars(cost), "trial": cost.trial, "workload": cost.workload}
    texts = []
    try:
        trials, budgets = whole_benchmark(config, words, search_path(typed.config_dir, words))
    except ConfigError as error:
        report.say("protocol", OK, f"no hours of a whole benchmark: {error.problem}")
    else:
        text = f"benchmark=full: {trials} trials, budgets {duration(budgets)}"
        if config["workload"]["tier"] == "full":
            whole = budgets * (1 + cost.untimed / cost.budget)
            text += f", {duration(whole)} if all have this one's share of untimed seconds"
        report.say("protocol", OK, text)
        facts |= {"benchmark_trials": trials, "benchmark_budgets": budgets}
        texts = [("benchmark=full (budgets)", budgets)]
    report.facts["seconds"] = facts
    if typed.price is not None:
        every = [("a trial", cost.trial), ("the workload", cost.workload), *texts]
        prices = {name: typed.price * seconds / 3600 for name, seconds in every}
        told = ", ".join(f"{name} ${price:,.2f}" for name, price in prices.items())
        report.say("price", OK, f"at ${typed.price:g} an hour, at most: {told}")
        report.facts["price"] = prices


def _check(typed: argparse.Namespace) -> None:
    check_overrides(typed.overrides, fix="workload=NAME")
    check_json(typed.json)
    for name in ("price", "memory_gb", "seconds", "timeout"):
        value = getattr(typed, name)
        if value is not None and not value > 0:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} {value:g}", expected="a positive number", where=flag)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m algoperf_pt.preflight",
        description="Will this trial run on this machine, how long, and at what price?  "
        "docs/preflight.md says what is measured.",
        epilog="Everything is done in a temporary folder; the trial's own is not touched.",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for algoperf-train")
    parser.add_argument("--config-dir", metavar="DIR", help="your own configuration groups")
    parser.add_argument("--price", type=float, metavar="$", help="of an hour of the machine")
    parser.add_argument("--hash", action="store_true", help="read all data, compare SHA-256")
    parser.add_argument(
        "--memory-gb", type=float, metavar="GB", help="10^9 bytes that a rank may take, at most"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="for each measurement (15)")
    parser.add_argument("--timeout", type=float, default=1800.0, help="s, of a process (1800)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
