"""What does the doctor make of nvidia-smi's answers?  Answers are made up: no GPU is needed."""

import subprocess

import pytest
import torch

from algoperf_pt.doctor import gpu
from algoperf_pt.doctor.finding import Examined, examined

CARD = "0, NVIDIA A100-SXM4-40GB, 5, 40960, 400.00, 400.00"


def smi(card=CARD, reasons="0x0000000000000001", processes="", old_name=False):
    """A driver's answers to queries."""

    def ask(queries):
        (query,) = queries
        if "event_reasons" in query and old_name:
            raise subprocess.CalledProcessError(2, "nvidia-smi", "Field is not a valid field")
        known = {"driver_version": "580.1", "reasons": reasons, "compute-apps": processes}
        return next((text for name, text in known.items() if name in query), card)

    return ask


def problems(monkeypatch, ask, visible=True):
    """What is said beside what torch sees."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    found = examined("gpu", lambda found: gpu.look_at_gpus(found, ask))
    return [p.text for p in found.problems], [p.fix for p in found.problems]


def test_a_free_cool_card_has_no_problem(monkeypatch):
    assert problems(monkeypatch, smi()) == ([], [])


def test_memory_in_use(monkeypatch):
    (text,), _ = problems(monkeypatch, smi(CARD.replace(" 5,", " 20000,")))
    assert text == "GPU 0 (NVIDIA A100-SXM4-40GB): 20000 of 40960 MiB are in use"


def test_a_lower_power_limit(monkeypatch):
    (text,), (fix,) = problems(monkeypatch, smi(CARD.replace("400.00, 400", "250.00, 400")))
    assert "250.00 W of 400.00 W" in text and fix == "nvidia-smi -i 0 -pl 400 (as root)"


@pytest.mark.parametrize("old_name", [False, True])
@pytest.mark.parametrize("bits, word", [("0x0000000000000040", "thermal"), ("0x8", "hardware")])
def test_throttled_clocks(monkeypatch, bits, word, old_name):
    (text,), _ = problems(monkeypatch, smi(reasons=bits, old_name=old_name))
    assert word in text


def test_a_card_that_does_not_tell(monkeypatch):
    card = CARD.replace("400.00", "[N/A]")
    assert problems(monkeypatch, smi(card, reasons="[N/A]")) == ([], [])


def test_another_process(monkeypatch):
    (text,), (fix,) = problems(monkeypatch, smi(processes="1, /usr/bin/other, 300"))
    assert "/usr/bin/other" in text and "kill 1" in fix


def test_a_driver_that_does_not_answer(monkeypatch):
    def ask(queries):
        raise subprocess.TimeoutExpired("nvidia-smi", 30)

    (text,), _ = problems(monkeypatch, ask)
    assert "nvidia-smi does not answer" in text


def test_a_gpu_that_torch_does_not_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (text,), (fix,) = problems(monkeypatch, smi(), visible=False)
    assert "torch does not see (CUDA_VISIBLE_DEVICES=)" in text
    assert fix == "unset CUDA_VISIBLE_DEVICES"


def test_no_kernels_for_the_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "Tesla V100-SXM2-16GB")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: (7, 0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (2**34, 2**34))
    for archs, wrong in ((["sm_80", "sm_90"], True), (["sm_70"], False), (["compute_60"], False)):
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda archs=archs: archs)
        found = Examined("gpu")
        gpu._compiled_for(found, 0)
        assert bool(found.problems) == wrong
