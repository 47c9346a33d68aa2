"""The public logs with the results of the reference's scoring code, if they lie beside the
checkout, and small made-up logs, which are part of the tests.
"""

import gzip
import json
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from scoring.rules.load import load_rules

MADE_UP = Path(__file__).parents[1] / "golden" / "leaderboards"
PUBLIC = Path(__file__).parents[3] / "shared" / "golden" / "leaderboards"


@dataclass(frozen=True)
class Leaderboard:
    """Logs, rules, what the reference makes of them, and a csv of its trials."""

    logs: Path
    rules: object
    expected: dict
    trials: list[str]


def leaderboard(name, tmp):
    """`made_up`, `0.5`, `0.6`, or `0.6 self`; skips where the logs are not there."""
    if name == "made_up":
        rules = load_rules("0.6")
        kept = ("criteo1tb", "ogbg", "librispeech_deepspeech")
        named = {workload.name: workload for workload in rules.workloads}
        rules = replace(rules, workloads=tuple(named[name] for name in kept))
        return Leaderboard(MADE_UP / "logs", rules, _json(MADE_UP / "logs_expected.json"), [])
    if not PUBLIC.exists():
        pytest.skip("the public logs are not beside the checkout")
    version, _, kind = name.partition(" ")
    rules = load_rules(version, kind or "external")
    if version == "0.5":
        folder = PUBLIC / "v0.5_external"
        with tarfile.open(folder / "logs.tar.gz") as archive:
            archive.extractall(tmp, filter="data")
        trials = gzip.decompress((folder / "expected_trials.csv.gz").read_bytes()).decode()
        logs, expected = tmp / "logs" / "external_tuning", folder / "expected.json"
    else:
        folder, kind = PUBLIC / "v0.6", kind or "external"
        logs = folder / "logs" / f"{kind}_tuning"
        expected = folder / f"expected_{kind}.json"
        trials = (folder / f"expected_trials_{kind}.csv").read_text()
    return Leaderboard(logs, rules, _json(expected), trials.splitlines())


def _json(path):
    return json.loads(path.read_text())
