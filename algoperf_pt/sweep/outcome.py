"""What became of a trial?  Its status in result.json, or else what its process left behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_pt.errors import AlgoperfError
from algoperf_pt.result import fail, read_result
from algoperf_pt.status import AS_ASKED, EXIT_CODES, IN_ORDER, STOPPED, Status
from algoperf_pt.sweep.plan import Planned

SWEEP_FAILED = 30  # exit code: some trial did not end as trials should
_TAIL = 12  # lines of the console that are shown of a trial that failed
_BY_CODE = {code: status for status, code in EXIT_CODES.items()}


@dataclass(frozen=True)
class Outcome:
    """The end of a trial as far as this parent knows.

    Args:
        status: None: it was not started.
        message: first line of what went wrong.
        tail: last lines of its console, where it failed.
        result: content of result.json.
        before: it was over before this parent began.
    """

    status: Status | None
    message: str = ""
    tail: tuple[str, ...] = ()
    result: dict[str, Any] | None = None
    before: bool = False

    @property
    def good(self) -> bool:
        """Whether the trial ended as trials should, or pauses where it was to."""
        return self.status in AS_ASKED

    @property
    def code(self) -> int:
        """The exit code of its status."""
        return SWEEP_FAILED if self.status is None else EXIT_CODES[self.status]


def overall(outcomes: list[Outcome]) -> int:
    """The exit code of the whole: 0 all ended as trials should; 130 or 143 stopped by Ctrl-C or by
    SIGTERM; 2 nothing but refused configurations; 30 some failed.
    """
    codes = {outcome.code for outcome in outcomes if not outcome.good}
    if not codes:
        return 0
    refused, stopped = EXIT_CODES[Status.CONFIG_ERROR], {EXIT_CODES[s] for s in STOPPED} & codes
    if stopped:
        return max(stopped)
    return refused if codes == {refused} else SWEEP_FAILED


def finished(planned: Planned) -> Outcome:
    """The outcome of a trial that was over before."""
    result = read_result(planned.folder)
    assert result is not None
    return Outcome(Status(result["status"]), result=result, before=True)


def refused(error: Exception) -> Outcome:
    """A trial that could not be started."""
    text = error.problem if isinstance(error, AlgoperfError) else f"{type(error).__name__}: {error}"
    known = isinstance(error, (AlgoperfError, OSError))
    return Outcome(Status.CONFIG_ERROR if known else Status.ERROR, text)


def ended(
    planned: Planned,
    code: int,
    before: dict[str, Any] | None,
    log: Path,
    begin: int,
    asked: Status | None,
) -> Outcome:
    """The outcome of an attempt that has ended.

    Args:
        planned: the trial.
        code: exit code of its process.
        before: result.json when the attempt began: it is this attempt's only if it differs now.
        log: console; its lines after byte `begin` are this attempt's.
        asked: why this parent asked it to stop, if it did: a trial only knows the SIGTERM that it
            got from its parent, not the Ctrl-C behind it.
    """
    result = read_result(planned.folder)
    if result is None or result == before:
        status, message = _from_code(code, asked)
        if status is Status.RANK_LOST and result is None:
            fail(planned.folder, status, message, 0)
    else:
        status, message = Status(result["status"]), str(result.get("message", ""))
        status = asked if asked is not None and status in STOPPED else status
    tail = () if status in IN_ORDER else _tail(log, begin)
    return Outcome(status, message.split("\n")[0], tail, result)


def _from_code(code: int, asked: Status | None) -> tuple[Status, str]:
    if asked is not None:
        return asked, "stopped before it had begun to train"
    if code < 0:
        return Status.RANK_LOST, f"the trial's first process was killed by signal {-code}"
    status = _BY_CODE.get(code, Status.ERROR)
    # one that ended as asked would have written its result
    return (Status.ERROR if status in AS_ASKED else status), f"exit code {code}"


def _tail(log: Path, begin: int) -> tuple[str, ...]:
    try:
        with log.open("rb") as file:
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(lines[-_TAIL:])
