"""Does the result follow from the rows, the log and the books?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from algoperf_pt.result import RESULT
from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.status import TO_BE_CONTINUED, Status
from algoperf_pt.verify.log import Broken, content

LEDGER = "ledger.json"
_TIMED = ("data", "step", "prepare_for_eval", "lost")
# The audit's own limit is 0.1 % and 2 ms; two readings of the clock lie a little apart here.
_SHARE, _SECONDS = 1e-3, 0.1
_TOLERANCE = 1e-6  # s


def read_json(folder: Path, name: str) -> Any:
    """Content of a file.

    Raises:
        Broken: it is missing or no JSON.
    """
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Broken(f"{name}: missing") from None
    except (ValueError, RecursionError) as error:
        raise Broken(f"{name}: no JSON: {error}") from None


def check_result(
    result: dict[str, Any], spec: WorkloadSpec, evaluations: Sequence[dict[str, Any]]
) -> None:
    """Times to target, targets and last row, found anew from the log's evaluations.

    Raises:
        Broken: naming the key of result.json that differs.
    """
    targets = {"validation": spec.validation_target, "test": spec.test_target}
    _same("metric", result["metric"], spec.metric)
    _same("targets", result["targets"], targets)
    _same("budget", result["budget"], spec.budget)
    for split, target in targets.items():
        at = _first(evaluations, spec, split, target)
        _same(f"time_to_target.{split}", result["time_to_target"][split], at and at["score"])
        steps = at and at["global_step"]
        _same(f"steps_to_target.{split}", result["steps_to_target"][split], steps)
    row = content(evaluations[-1]) if evaluations else None
    _same("last", json.dumps(result["last"], sort_keys=True), json.dumps(row, sort_keys=True))
    reached = result["time_to_target"]["validation"] is not None
    status = Status(result["status"])
    if status not in TO_BE_CONTINUED and (status is Status.REACHED) != reached:
        raise Broken(f"{RESULT}: status {status.value}, although the rows say otherwise")


def check_end_event(result: dict[str, Any], ends: Sequence[dict[str, Any]]) -> None:
    """Status, steps and seconds as the log's last line tells them.

    Raises:
        Broken: they differ, or the log has no end.
    """
    if not ends:
        raise Broken(f"{RESULT}: the event log has no end of the trial")
    for key in ("status", "step", "elapsed"):
        _same(key, result[key], ends[-1][key])


def check_ledger(folder: Path, result: dict[str, Any], end: dict[str, Any]) -> None:
    """The books of all ranks are those of the log and of the result, and add up to the whole.

    Raises:
        Broken: naming what does not add up.
    """
    books = read_json(folder, LEDGER)
    ranks, wall = books["ranks"], books["wall_of_attempt"]
    _same("ledger", result["ledger"], ranks[0])
    if "ledger" not in end:
        return  # earlier versions wrote the wall time later than the buckets
    if end["ledger"] != ranks:
        raise Broken(f"{LEDGER}: the buckets are not those of the event log")
    for number, spent in enumerate(ranks):
        whole, least = sum(spent.values()), _SHARE * wall + _SECONDS
        short = wall - whole > least
        if short or (result["attempts"] == 1 and whole - wall > least):
            raise Broken(
                f"{LEDGER}: rank {number}: the buckets make {whole:.3f} s of {wall:.3f} s"
            )
    timed = sum(ranks[0][bucket] for bucket in _TIMED)
    if result["elapsed"] > timed + _TOLERANCE:
        said = f"the result says {result['elapsed']:.3f} s"
        raise Broken(f"{LEDGER}: {timed:.3f} s are timed, {said}")


def _first(
    evaluations: Sequence[dict[str, Any]], spec: WorkloadSpec, split: str, target: float | None
) -> dict[str, Any] | None:
    for row in evaluations:
        value = row.get(f"{split}/{spec.metric}")
        if target is None or (value is not None and spec.reached(value, target)):
            return row
    return None


def _same(key: str, found: Any, expected: Any) -> None:
    if found != expected and not (found != found and expected != expected):
        raise Broken(f"{RESULT}: {key} is {found}, the other files say {expected}")
