"""Does one trial's folder hold together?  All comparisons in order; the first that fails is
told.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from algoperf_pt.driver import CONFIG, is_running
from algoperf_pt.records import EVENTS
from algoperf_pt.result import RESULT
from algoperf_pt.spec import make_spec
from algoperf_pt.status import FINAL, IN_ORDER, Status
from algoperf_pt.verify.log import Broken, check_end, read_log
from algoperf_pt.verify.outcome import check_end_event, check_ledger, check_result, read_json
from algoperf_pt.verify.parts import check_checkpoints, check_config, check_environment
from algoperf_pt.verify.rows import check_last_row, check_rows


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Args:
        sound: whether everything agrees.
        text: what there is, or the first thing that does not agree.
    """

    sound: bool
    text: str


def trial_folders(root: Path) -> Iterator[Path]:
    """`root`, if it is the folder of a trial that has begun; else those below it.  Links are not
    followed.
    """
    for name, folders, files in os.walk(root):
        if EVENTS in files or (CONFIG in files and RESULT in files):
            folders.clear()
            yield Path(name)
        folders.sort()


def verify(folder: Path) -> Verdict:
    """Compare all files of a trial with one another; what is no trial's is not looked at."""
    try:
        return Verdict(True, _verify(folder))
    except Broken as error:
        return Verdict(False, str(error))
    except KeyError as error:
        return Verdict(False, f"a file lacks the key or column {error}")
    except (OSError, ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        return Verdict(False, f"a file cannot be understood: {type(error).__name__}: {error}")


def _verify(folder: Path) -> str:
    config = read_json(folder, CONFIG)
    result = read_json(folder, RESULT) if (folder / RESULT).exists() else None
    status = None if result is None else Status(result["status"])
    if not (folder / EVENTS).exists() and status not in IN_ORDER and not _has_rows(folder):
        return f"{status.value if status else 'no result'}: it had not begun to train"
    log = read_log(folder)
    in_order = status in IN_ORDER and result is not None
    anchored = check_end(log, result)
    evaluations = log.of("evaluation")
    check_config(folder, config, log)
    checkpoints = check_checkpoints(folder, log)
    rows = check_rows(folder, evaluations, ended=in_order)
    if in_order and result is not None:
        check_end_event(result, log.of("end"))
        check_result(result, make_spec(config), evaluations)
        check_ledger(folder, result, log.of("end")[-1])
        check_environment(folder, log)
        if status in FINAL:
            check_last_row(rows, result)
    state = status.value if status else "running" if is_running(folder) else "no result: killed"
    end = "" if anchored else "; the log's end stands nowhere else: a cut of its tail may hide"
    counts = f"{len(log.events)} events, {len(evaluations)} evaluations, {checkpoints} checkpoints"
    return f"{state}, {counts}, ends {log.hashes[-1][:16]}{end}"


def _has_rows(folder: Path) -> bool:
    return any(folder.glob("*measurements.csv")) or any(folder.glob("checkpoint_*"))
