"""Which GPUs and cores does each of several trials get?"""

import os
import sys

import pytest

from algoperf_pt.cores import neighbours, shares, usable_cores
from algoperf_pt.errors import ConfigError
from algoperf_pt.sweep.local import Local, find_gpus, make_slots

EIGHT = [str(number) for number in range(8)]


@pytest.mark.parametrize(
    "gpus, each, parallel, expected",
    [
        (EIGHT, 1, None, [(g,) for g in EIGHT]),
        (EIGHT, 4, None, [tuple("0123"), tuple("4567")]),
        (EIGHT, 2, 3, [("0", "1"), ("2", "3"), ("4", "5")]),
        (EIGHT, 8, None, [tuple("01234567")]),
        (["GPU-a", "GPU-b"], 1, None, [("GPU-a",), ("GPU-b",)]),
        ([], 1, None, [()]),
        ([], 2, 3, [(), (), ()]),
    ],
)
def test_gpus(gpus, each, parallel, expected):
    assert [slot.gpus for slot in make_slots(gpus, each, parallel, [])] == expected


def test_too_few_gpus():
    with pytest.raises(ConfigError, match="wants 9 GPUs, here are 8"):
        make_slots(EIGHT, 9, None, [])
    with pytest.raises(ConfigError, match="3 trials want 12 GPUs, here are 8"):
        make_slots(EIGHT, 4, 3, [])
    with pytest.raises(ConfigError, match="parallel: impossible value 0"):
        Local(parallel=0)


def test_cores_are_shared_equally_and_alone_a_trial_has_all():
    cores = [slot.cores for slot in make_slots([], 1, 3, range(8))]
    assert cores == [(0, 1), (2, 3), (4, 5)]
    assert make_slots([], 1, 1, range(8))[0].cores == ()
    assert shares(4, [0, 1]) == [[0], [1], [0], [1]]


def test_neighbours_are_the_usable_cores(monkeypatch, tmp_path):
    assert set(neighbours()) == os.sched_getaffinity(0) and usable_cores() == len(neighbours())
    for core, physical in enumerate((0, 1, 0, 1)):  # 0 and 2 are threads of one core
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text("0\n")
        (folder / "core_id").write_text(f"{physical}\n")
    monkeypatch.setattr("algoperf_pt.cores._TOPOLOGY", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert neighbours() == [0, 2, 1, 3]


def test_gpus_are_found_without_torch(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert find_gpus() == ["2", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!{sys.executable}\nprint('0')\nprint('1')\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_gpus() == ["0", "1"]
    tool.unlink()
    assert find_gpus() == []
