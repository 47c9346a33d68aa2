"""Are the data whole, and is there room for the trial?  No torch here."""

import os
import shutil
from pathlib import Path
from typing import Any

from algoperf_pt.config import trial_folder
from algoperf_pt.data.index import DataIndex
from algoperf_pt.errors import DataError
from algoperf_pt.preflight.report import NOT_DONE, OK, PROBLEM, WARNING, Report, gigabytes

_RECORDS = 4e6  # bytes of a trial: rows, events, picture


def check_data(report: Report, config: dict[str, Any], hashes: bool) -> bool:
    """Whether the dataset of the workload is whole: its index, the size of each file, and with
    `hashes` the SHA-256 of each.
    """
    data = config["workload"]["data"]
    root = Path(config["data"]["dir"], data["dataset"])
    again = f"algoperf-prepare {config['workload']['name']} --raw RAW_FILES --out {root} --force"
    try:
        index = DataIndex.open(root, data["dataset"], data["preparer_version"])
        for split in index.splits:
            index.members(split)
        wrong = index.verify() if hashes else []
    except DataError as error:
        text = f"{error.problem}, expected {error.expected}" if error.expected else error.problem
        report.say("data", PROBLEM, text, error.fix or again)
        return False
    if wrong:
        report.say("data", PROBLEM, f"{root}: {'; '.join(wrong)}", again)
        return False
    rows = ", ".join(f"{split} {index.rows(split):,}" for split in index.splits)
    how = "SHA-256 of all files right" if hashes else "sizes right; --hash reads all"
    report.say("data", OK, f"{root}: {rows} ({how})")
    return True


def check_disk(report: Report, config: dict[str, Any], trials: int, checkpoint: int | None) -> None:
    """Room for a trial, and for all of a workload: a checkpoint more than is kept, while the next
    one is written.
    """
    if checkpoint is None:
        report.say("disk", NOT_DONE, "the size of a checkpoint is not known")
        return
    folder = trial_folder(config)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    kept = max(2, config["keep_checkpoints"])
    one = (kept + 1) * checkpoint + _RECORDS
    every = trials * (kept * checkpoint + _RECORDS) + checkpoint
    report.facts["disk"] = {"trial_bytes": one, "all_bytes": every, "free_bytes": free}
    text = (
        f"a trial needs {gigabytes(one)}, the workload's {trials} trials {gigabytes(every)}; "
        f"{gigabytes(free)} free at {there}"
    )
    other = "another experiment_dir=FOLDER, or remove checkpoint_* of trials that are over"
    if not os.access(there, os.W_OK):
        report.say("disk", PROBLEM, f"{there} cannot be written", "experiment_dir=FOLDER")
    elif one > free:
        report.say("disk", PROBLEM, text, other)
    else:
        report.say("disk", *((WARNING, text, other) if every > free else (OK, text)))
