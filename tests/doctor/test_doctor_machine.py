"""Does the doctor see a disk, limits, a container, variables and flags that would spoil a trial?"""

import os
import resource
import shutil

import pytest
import torch

from algoperf_pt.doctor import machine
from algoperf_pt.doctor.finding import Examined, examined
from algoperf_pt.doctor.numerics import look_at_numerics

GIB = 2**30


class _Usage:
    def __init__(self, free):
        self.free = free


def problems(look, *arguments, **named):
    """Texts and fixes of one look."""
    found = Examined("part")
    look(found, *arguments, **named)
    return [p.text for p in found.problems], [p.fix for p in found.problems]


def disk(monkeypatch, free):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: (100 * GIB, 100 * GIB - free, free))


def test_room_and_a_folder_that_can_be_made(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(50 * GIB))
    assert problems(machine.look_at_disk, tmp_path / "a" / "b") == ([], [])
    assert list(tmp_path.iterdir()) == []  # nothing was written


def test_a_full_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(GIB))
    (text,), (fix,) = problems(machine.look_at_disk, tmp_path)
    assert "1.0 GiB free" in text and "experiment_dir=DIR" in fix


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(50 * GIB))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (text,), _ = problems(machine.look_at_disk, tmp_path / "experiments")
    assert text == f"{tmp_path} cannot be written"


def test_a_file_where_the_folder_should_be(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(50 * GIB))
    (tmp_path / "experiments").write_text("")
    (text,), _ = problems(machine.look_at_disk, tmp_path / "experiments")
    assert "is no folder" in text


def test_shared_memory_of_a_container(monkeypatch, tmp_path):
    disk(monkeypatch, 64 * 2**20)
    (text,), (fix,) = problems(machine.look_at_shared_memory, tmp_path)
    assert "64 MiB free" in text and "--shm-size" in fix
    disk(monkeypatch, 2 * GIB)
    assert problems(machine.look_at_shared_memory, tmp_path) == ([], [])


def test_no_shared_memory(tmp_path):
    assert len(problems(machine.look_at_shared_memory, tmp_path / "shm")[0]) == 1


@pytest.mark.parametrize("limit, shards, wrong", [(1024, 0, 0), (1024, 900, 1), (256, 100, 1)])
def test_open_files_against_shards(limit, shards, wrong):
    assert len(problems(machine.look_at_files, shards, limit)[0]) == wrong


def test_unlimited_files(monkeypatch):
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: unlimited)
    assert problems(machine.look_at_files, 10_000) == ([], [])


QUOTAS = [("max 100000", 0), ("800000 100000", 0), ("150000 100000", 1)]


@pytest.mark.parametrize("quota, wrong", QUOTAS)
def test_a_container_s_quota_of_cores(tmp_path, quota, wrong):
    (tmp_path / "cpu.max").write_text(quota + "\n")
    texts, fixes = problems(machine.look_at_cores, tmp_path, load=0.0, cores=8)
    assert len(texts) == wrong
    assert not wrong or "1.5 cores" in texts[0] and "trainer.threads=1" in fixes[0]


def test_the_old_form_of_a_quota(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("200000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert len(problems(machine.look_at_cores, tmp_path, load=0.0, cores=8)[0]) == 1
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    assert problems(machine.look_at_cores, tmp_path, load=0.0, cores=8) == ([], [])


def test_other_programs(tmp_path):
    (text,), _ = problems(machine.look_at_cores, tmp_path, load=3.0, cores=2)
    assert "load 3.0 on 2 cores" in text


def test_a_container_s_memory(tmp_path):
    (tmp_path / "memory.max").write_text(str(GIB))
    (tmp_path / "memory.current").write_text(str(GIB // 2))
    (text,), _ = problems(machine.look_at_memory, tmp_path)
    assert text.startswith("0.5 GiB of memory free")


@pytest.mark.parametrize("source, wrong", [("tsc", 0), ("hpet", 1)])
def test_the_clock_s_source(tmp_path, source, wrong):
    (tmp_path / "clocksource").write_text(source + "\n")
    assert len(problems(machine.look_at_clock, tmp_path / "clocksource")[0]) == wrong


def test_variables_that_change_numbers():
    assert problems(look_at_numerics, {"PATH": "/bin", "CUDA_LAUNCH_BLOCKING": "0"}) == ([], [])
    (text,), (fix,) = problems(look_at_numerics, {"NVIDIA_TF32_OVERRIDE": "1"})
    assert "it overrules trainer.tf32" in text and fix == "unset NVIDIA_TF32_OVERRIDE"


def test_variables_that_are_told():
    found = Examined("numerics")
    look_at_numerics(found, {"OMP_NUM_THREADS": "1", "NCCL_DEBUG": "INFO", "HOME": "/root"})
    assert {"OMP_NUM_THREADS=1", "NCCL_DEBUG=INFO"} <= set(found.facts)
    assert not any("HOME" in fact for fact in found.facts)


def test_a_default_dtype_that_something_changed():
    torch.set_default_dtype(torch.float64)
    try:
        texts, _ = problems(look_at_numerics, {})
    finally:
        torch.set_default_dtype(torch.float32)
    assert texts == ["torch's default dtype is torch.float64, not float32"]


def test_a_look_that_breaks_is_a_problem_and_no_more():
    def look(found):
        found.facts.append("seen")
        raise ValueError("a\nb\x1b[31m")

    found = examined("part", look)
    assert found.facts == ["seen"]
    line = found.lines()[1]
    assert line.startswith("problem: part: could not be examined: ValueError: a b")
    assert "\x1b" not in line and "\n" not in line
