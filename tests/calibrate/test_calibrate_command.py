"""What does `python -m algoperf_pt.calibrate` measure, and what if something cannot run here?  With
small sizes: the figures are not looked at.
"""

import json
import sys

import pytest
import torch

from algoperf_pt.calibrate import __main__ as command
from algoperf_pt.calibrate import measure
from algoperf_pt.calibrate.kernels import kernels
from algoperf_pt.calibrate.timed import figures
from algoperf_pt.doctor.all_reduce import RanksError

SMALL = {
    "matmul": {"side": 8, "times": 2},
    "convolution": {"batch": 1, "channels": 2, "pixels": 6, "filters": 2, "times": 1},
    "attention": {"batch": 1, "heads": 1, "length": 4, "width": 4, "times": 1},
    "copy": {"megabytes": 1, "times": 1},
    "all_reduce": {"megabytes": 0.01, "ranks": 2},
    "jpeg": {"pixels": 32, "quality": 90, "times": 1},
    "rows": 2,
    "workloads": ["digits"],
}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """(exit code, the file's content or None, stdout and stderr) of a command."""
    monkeypatch.setattr(measure, "sizes", lambda device: SMALL)
    monkeypatch.setattr(command, "sizes", lambda device: SMALL)
    monkeypatch.setattr(measure, "all_reduce", lambda *arguments: [1.0, 2.0, 3.0])

    def main(*arguments):
        out = tmp_path / "c.json"
        words = ["--quick", "--threads", "1", "--device", "cpu", "--out", str(out)]
        code = command.main([*words, *arguments])
        told = capsys.readouterr()
        return code, json.loads(out.read_text()) if out.exists() else None, told.out + told.err

    return main


def test_everything_that_a_cpu_has(run):
    code, content, told = run()
    assert code == 0 and "wrote" in told
    assert (content["device"], content["threads"], content["format"]) == ("cpu", 1, 1)
    kernels = content["kernels"]
    timed = {name for name, entry in kernels.items() if "median_ms" in entry}
    assert timed == {"matmul_float32", "matmul_bfloat16", "convolution", "attention", "copy"} | (
        {"jpeg", "all_reduce"}
    )
    assert kernels["matmul_tf32"] == {"skipped": "this device has no TF32"}
    assert kernels["copy"]["size"] == {"megabytes": 1}
    assert kernels["all_reduce"]["median_ms"] == 2.0
    assert content["steps"]["digits"]["size"]["rows"] == 2
    assert content["steps"]["digits"]["repeats"] == 3


def test_no_codec_for_jpeg(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    code, content, told = run("workload=none")
    assert code == 0 and content["steps"] == {}
    assert "'simplejpeg' is not installed" in content["kernels"]["jpeg"]["skipped"]
    assert "skipped" in told


def test_ranks_that_do_not_reach_each_other(run, monkeypatch):
    def refuse(*arguments):
        raise RanksError("rank 1 is silent")

    monkeypatch.setattr(measure, "all_reduce", refuse)
    assert run("workload=none")[1]["kernels"]["all_reduce"] == {"skipped": "rank 1 is silent"}


def test_a_step_that_needs_more_memory_than_there_is(run, monkeypatch):
    def refuse(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(measure, "step_of", refuse)
    code, content, _ = run()
    assert code == 0 and "out of memory" in content["steps"]["digits"]["skipped"]


@pytest.mark.parametrize("words", [("workload=nonsense",), ("seed=1",), ("--threads", "0")])
def test_bad_input_is_refused_before_anything_is_measured(run, words):
    code, content, told = run(*words)
    assert code == 2 and content is None and told.startswith("ConfigError")


def test_a_gpu_that_is_not_there(run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, told = run("--device", "cuda")
    assert code == 2 and "torch sees no GPU" in told


def test_a_place_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, told = run("workload=none", "--out", str(tmp_path / "file" / "c.json"))
    assert code == 2 and "cannot be written" in told


def test_figures_are_medians_with_spread():
    assert figures([4.0, 1.0, 2.0, 3.0]) == {
        "median_ms": 2.5,
        "min_ms": 1.0,
        "max_ms": 4.0,
        "spread": 4.0,
        "repeats": 4,
    }


def test_kernels_work_on_the_same_data_each_time():
    def result(name):
        (kernel,) = [k for k in kernels(SMALL) if k.name == name]
        return kernel.make(torch.device("cpu"), torch.Generator().manual_seed(0))()

    for name in ("matmul_float32", "convolution", "attention"):
        assert torch.equal(result(name), result(name)), name


def test_real_sizes_name_what_there_is():
    for device in ("cpu", "cuda"):
        every = measure.sizes(torch.device(device))
        assert every.keys() == SMALL.keys()
        assert [k.name for k in kernels(every)] == [k.name for k in kernels(SMALL)]
