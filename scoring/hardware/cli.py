"""The part of the command line about hardware: `--mix-hardware` and `--normalise`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import replace

from scoring.certainty.table import Cell, Table
from scoring.errors import RulesError
from scoring.hardware.classes import UNKNOWN, class_of
from scoring.hardware.mixed import mixtures, refuse, trials_of
from scoring.hardware.normalise import AUTO, Factor, normalised
from scoring.logs.trial import Finding, Logs
from scoring.rules.model import Rules

NORMALISED, MIXED = "normalised", "mixed hardware"


def add_flags(parser: ArgumentParser) -> None:
    """Adds both."""
    group = parser.add_argument_group("hardware (trials of different classes are not compared)")
    group.add_argument(
        "--mix-hardware", action="store_true", help="compare them all the same, marked"
    )
    group.add_argument(
        "--normalise",
        metavar="FILE",
        help=f"scale times to the machine of a calibration.json; {AUTO}: to the commonest class",
    )


def one_class(logs: Logs, rules: Rules, options: Namespace) -> tuple[Logs, Rules]:
    """Logs whose times may be compared, and rules that say so where something was done for it.

    Raises:
        MixedHardware: trials of different classes on a workload, and nothing was asked for.
        RulesError: they cannot be normalised; or flags that exclude each other.
    """
    if options.mix_hardware and options.normalise:
        raise RulesError("--mix-hardware and --normalise: give one of them")
    if options.time == "steps" and options.normalise:
        raise RulesError("--normalise with --time steps: steps are the same on all hardware")
    if options.against and (options.mix_hardware or options.normalise):
        raise RulesError("--against has flags of its own: --hardware CLASS, --other-hardware")
    if options.time == "steps" or options.against:
        return logs, rules  # --against compares classes itself
    trials = trials_of(logs, rules)
    classes = [class_of(trial) for trial in trials]
    if options.normalise:
        changed, name, factors = normalised(logs, trials, classes, options.normalise)
        findings = (*logs.findings, *_findings(factors, name))
        return replace(changed, findings=findings), _marked(rules, f"times {NORMALISED} to {name}")
    mixed = mixtures(trials, classes)
    if not mixed:
        return logs, rules
    if not options.mix_hardware:
        refuse(mixed)
    names = sorted({name for named in mixed.values() for name in named})
    return logs, _marked(rules, f"{MIXED}: {'; '.join(names)}")


def marked(tables: Iterable[Table], rules: Rules) -> Iterable[Table]:
    """Tables with a last column that says what was done about hardware, where something was."""
    for table in tables:
        if not rules.hardware_mark:
            yield table
            continue
        rows: list[list[Cell]] = [[*row, rules.hardware_mark] for row in table.rows]
        heads = (*table.heads, "hardware") if table.heads else ()
        columns = (*table.columns, "hardware")
        yield replace(table, columns=columns, rows=rows, heads=heads)


def _marked(rules: Rules, mark: str) -> Rules:
    return replace(rules, hardware_mark=mark)


def _findings(factors: list[Factor], name: str) -> Iterable[Finding]:
    for one in factors:
        hardware = "unknown hardware" if one.hardware == UNKNOWN else one.hardware
        text = f"seconds of {hardware} times {one.factor:.6g} ({one.by}) for {name}"
        yield Finding(NORMALISED, one.trial.folder, text)
