"""How is a trial repeated?  By its own configuration, in a new folder and a process of its own."""

import json
import os
import subprocess
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from algoperf_pt.config import differences, stable_part, trial_folder
from algoperf_pt.driver import CONFIG
from algoperf_pt.errors import ConfigError
from algoperf_pt.rerun.compare import compare
from algoperf_pt.rerun.differences import (
    Difference,
    before_the_start,
    of_the_machine,
    read_environment,
    told,
)
from algoperf_pt.result import read_result
from algoperf_pt.status import FINAL, Status
from algoperf_pt.sweep.child import command, environment, write_planned


def rerun(folder: Path, into: Path, words: Sequence[str], anyway: bool) -> int:
    """Repeat the trial in `folder` below `into`, compare, and tell.

    Args:
        words: KEY=VALUE; a key on which figures depend makes it another trial, which is told.
        anyway: go on although code, data or versions differ.

    Returns:
        0; 1 if bits were to be the same and are not, or the repetition did not end in order.

    Raises:
        ConfigError: there is no trial, or it cannot be repeated as it was.
    """
    before = _config(folder)
    then = read_environment(folder)
    after = _changed(before, words, into)
    keys = differences(stable_part(before), stable_part(after))
    found = before_the_start(after, then) + [Difference(k, *pair) for k, pair in keys.items()]
    refused = [d for d in found if not _typed(d, words)]
    if refused and not anyway:
        raise ConfigError(
            f"{folder} cannot be repeated as it was:{told(refused)}",
            expected="the code, data and versions of the trial",
            fix="bring them back, or --anyway to see how much it matters",
        )
    new = trial_folder(after)
    ended = _run(after, new, int(then.get("ranks", 1)))
    if ended not in FINAL:
        how = ended.value if ended else "no result"
        print(f"the repetition in {new} did not end in order: {how}")
        return 1
    found += of_the_machine(then, read_environment(new))
    return _tell(folder, new, found, by_steps=after["eval_every_steps"] is not None)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        trial_folder(config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder / CONFIG} cannot be read: {type(error).__name__}: {error}",
            expected="the configuration of a trial",
            where="command line",
        ) from error
    return config


def _changed(config: dict[str, Any], words: Sequence[str], into: Path) -> dict[str, Any]:
    node = OmegaConf.create(deepcopy(config))
    OmegaConf.set_struct(node, True)
    for word in words:
        if "=" not in word:
            raise ConfigError(f"{word!r} cannot be read", expected="KEY=VALUE")
        try:
            node.merge_with_dotlist([word])
        except OmegaConfBaseException as error:
            raise ConfigError(
                f"{word}: {str(error).splitlines()[0]}",
                expected=f"a key of {CONFIG} and a value",
                where="command line",
            ) from error
    changed: Any = OmegaConf.to_container(node)
    changed["experiment_dir"], changed["pause_at"] = str(into.expanduser().resolve()), None
    new = trial_folder(changed)
    if new.exists() and any(new.iterdir()):
        raise ConfigError(f"{new} is not empty", fix="--into another folder")
    return dict(changed)


def _typed(difference: Difference, words: Sequence[str]) -> bool:
    return any(word.partition("=")[0] == difference.what for word in words)


def _run(config: dict[str, Any], folder: Path, ranks: int) -> Status | None:
    """As a child of many is run; with a launcher where one had started the ranks.  How it ended."""
    launched = ranks > 1 and config["trainer"]["devices"] == "1"
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    line = command(write_planned(config, folder), several if launched else None)
    subprocess.run(line, env=environment(os.environ), check=False)
    result = read_result(folder)
    return None if result is None else Status(result["status"])


def _tell(before: Path, after: Path, different: list[Difference], by_steps: bool) -> int:
    found = compare(before, after)
    print(f"repeated in {after}")
    for difference in different:
        print(f"differs: {difference}")
    for line in found.lines():
        print(line)
    if not by_steps:
        print("evaluations by time fall on other steps each time; eval_every_steps=N repeats bits")
    expected = by_steps and not different
    if expected and not found.same:
        print("NOT THE SAME, although nothing differs that is known")
    return int(expected and not found.same)
