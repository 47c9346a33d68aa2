"""All checks of one submission: first its source, then its runs.  No torch here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from algoperf_pt.check.contract import check_contract, unmentioned
from algoperf_pt.check.dependencies import find_dependencies, judge, listed_beside
from algoperf_pt.check.findings import CHECKS, FAIL, Finding, Report
from algoperf_pt.check.runs import Run, Runner
from algoperf_pt.check.scan import scan_calls
from algoperf_pt.check.scan_names import scan_names
from algoperf_pt.check.sources import Source, find_sources
from algoperf_pt.check.spaces import compare_spaces, declared
from algoperf_pt.check.subject import Subject, find_subject
from algoperf_pt.config import Config
from algoperf_pt.errors import ConfigError

_UNREAD = "nothing reads the hyperparameter"
_FROM_RUNS = (
    *("runs", "hyperparameters", "parameters", "functions", "pause", "data", "clock"),
    *("randomness", "environment"),
)


@dataclass(frozen=True)
class Options:
    """How a submission is checked.

    Args:
        words: overrides of the configuration.
        workloads: on which it is run; none: its source is read, and that is all.
        data: folder of prepared data.
        steps: of each run.
        timeout: seconds of each run.
        compared: workloads for which the space is composed where fewer than two are run.
    """

    words: Sequence[str]
    workloads: Sequence[str]
    data: Path
    steps: int
    timeout: float
    compared: Sequence[str] = ("digits", "wmt_tiny")


def examine(
    path: str,
    options: Options,
    scratch: Path,
    tell: Callable[[str], None],
    make_runner: Callable[..., Runner] = Runner,
) -> Report:
    """Check a submission.

    Args:
        path: as typed.
        options: how.
        scratch: folder that can be thrown away.
        tell: takes a line of progress.
        make_runner: of the runs.

    Raises:
        ConfigError: there is no such submission, or its configuration is refused.
    """
    subject = find_subject(path, options.words, scratch)
    words = [word for word in options.words if word not in subject.words]
    runner = make_runner(subject, words, options.data, options.steps, options.timeout)
    report = Report(subject.name, options.workloads)
    more = () if len(options.workloads) > 1 else options.compared
    names = dict.fromkeys([*options.workloads, *more])
    try:
        configs = {name: runner.compose(name) for name in names}
    except ConfigError as error:
        if not error.problem.startswith(_UNREAD):
            raise
        return _refused(report, error)
    sources = find_sources(subject, next(iter(configs.values()))["submission"])
    _read_source(report, subject, sources, configs)
    runs = []
    for number, name in enumerate(options.workloads):
        tell(f"{number + 1} of {len(options.workloads)}: {name}")
        runs.append(runner.run(name, configs[name]))
    _take_runs(report, runs)
    return report


def _refused(report: Report, error: ConfigError) -> Report:
    """A configuration with a hyperparameter that nothing reads is not even composed."""
    found = Finding("hyperparameters", FAIL, error.problem, error.where, error.fix)
    report.findings.append(found)
    report.not_done.update(dict.fromkeys(CHECKS, "the configuration is refused"))
    return report


def _read_source(
    report: Report, subject: Subject, sources: Sequence[Source], configs: dict[str, Config]
) -> None:
    config = next(iter(configs.values()))
    for source in sources:
        report.findings += [*scan_calls(source), *scan_names(source)]
    report.findings += check_contract(sources, subject.reference)
    report.findings += compare_spaces(configs)
    if subject.reference:
        for name in unmentioned(declared(config), sources):
            fix = f"read hyperparameters.{name}, or take it out of the space"
            text = f"the source mentions no {name!r}"
            report.findings.append(Finding("hyperparameters", FAIL, text, fix=fix))
    needed = find_dependencies(sources)
    report.findings += judge(needed, sources, listed_beside(sources))
    files = ", ".join(str(source.path.name) for source in sources) or "no file of its own"
    read = f"source: {files}"
    for check in ("contract", "names", "shapes", "lookups", "private"):
        report.passed[check] = read
    report.passed["space"] = f"the same on {', '.join(configs)}"
    report.passed["dependencies"] = ", ".join(map(str, needed)) or "none but Python's own"
    hparams = list(declared(config))
    report.passed["hyperparameters"] = ", ".join(hparams) or "it has none"


def _take_runs(report: Report, runs: Sequence[Run]) -> None:
    """Findings of the runs, and what their passes rest on."""
    for run in runs:
        report.findings += run.findings
    broken = [run.workload for run in runs if not run.done]
    if not runs or broken:
        why = f"not seen to the end on {', '.join(broken)}" if runs else "not run"
        report.not_done.update(dict.fromkeys(_FROM_RUNS, why))
        return
    steps = sum(run.done["steps"] for run in runs)
    pauses = sum(run.done["evaluations"] for run in runs)
    functions = max(run.done["functions"] for run in runs)
    values = max(run.done["values"] for run in runs)
    report.passed |= {
        "runs": f"{steps} steps and {pauses} evaluations on {len(runs)} workloads",
        "parameters": f"after every call and in every pass of {steps} steps",
        "functions": f"{functions} functions, by identity and hash of their code",
        "pause": f"{pauses} pauses, up to {values} values each; nobody used a CPU meanwhile",
        "data": "of validation and test splits it opened and asked for nothing",
        "clock": "time's functions and the ledger's",
        "randomness": "torch's, numpy's and Python's global generators: drawn from at the most",
        "environment": "variables, torch's flags, signals, hooks on all modules",
    }
