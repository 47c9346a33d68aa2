"""Are configuration, environment and checkpoints those of this trial?"""

import hashlib
import re
from pathlib import Path
from typing import Any

from algoperf_pt.config import config_hash
from algoperf_pt.driver import CONFIG
from algoperf_pt.verify.log import Broken, Log
from algoperf_pt.verify.outcome import read_json

_CHECKPOINT = re.compile(r"checkpoint_(\d+)")
_FILE = re.compile(r"(shared|rank_\d+)\.pt")


def check_config(folder: Path, config: dict[str, Any], log: Log) -> None:
    """The configuration has the hash that each attempt wrote into the log.

    Raises:
        Broken: naming the file that differs.
    """
    starts = log.of("start")
    expected = {event.get("config_sha256") for event in starts}
    if starts and expected != {config_hash(config)}:
        raise Broken(f"{CONFIG}: its hash is not the one in the event log")
    for path in sorted(folder.glob("flags_*.json")):
        if config_hash(read_json(folder, path.name)) != config_hash(config):
            raise Broken(f"{path.name}: its keys are not those of {CONFIG}")
    hparams = folder / "hparams.json"
    if hparams.exists() and read_json(folder, hparams.name) != config["submission"]["hparams"]:
        raise Broken(f"{hparams.name}: not the hyperparameters of {CONFIG}")


def check_environment(folder: Path, log: Log) -> None:
    """environment.json is what the last attempt wrote into the log.

    Raises:
        Broken: naming the key that differs.
    """
    starts = log.of("start")
    for key, value in read_json(folder, "environment.json").items() if starts else ():
        if starts[-1].get(key) != value:
            raise Broken(f"environment.json: {key} is {value}, the event log says otherwise")


def check_checkpoints(folder: Path, log: Log) -> int:
    """Files have their checksums, and the log holds the line at which each checkpoint was written.

    Returns:
        how many there are.

    Raises:
        Broken: naming the file.
    """
    count = 0
    for path in sorted(folder.glob("checkpoint_*")):
        match = _CHECKPOINT.fullmatch(path.name)
        if match is None:
            continue
        manifest = read_json(folder, f"{path.name}/manifest.json")
        if manifest["step"] != int(match[1]):
            raise Broken(f"{path.name}/manifest.json: of step {manifest['step']}")
        for name, digest in manifest["sha256"].items():
            if not _FILE.fullmatch(name) or _sha256(path / name) != digest:
                raise Broken(f"{path.name}/{name}: does not have its checksum")
        at = manifest.get("log_hash")  # not in checkpoints of earlier versions
        if at is not None and at not in log.hashes:
            raise Broken(
                f"events.jsonl:{len(log.events) + 1}: lines are missing: {path.name} was written "
                "after a line that the log does not have"
            )
        count += 1
    return count


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
