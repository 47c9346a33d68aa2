"""What bench_workload.py prints is what it says it is.  No speed is judged, only counts are."""

import gc
import json
import signal
import subprocess
import sys
import time
import weakref

import psutil
import pytest
import torch

from algoperf_pt.assemble import make_data
from algoperf_pt.bench import Bench, Reference, compared, find_bench
from algoperf_pt.bench_steps import PARTS, TrainingStep
from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError, SubmissionError
from algoperf_pt.measuring import Memory, Stopwatch, measure
from algoperf_pt.ranks import Ranks
from scripts.bench_workload import main
from tests.support.runs import OPTIMIZER, ROOT, environment
from tests.support.workloads import version_of
from workloads.mnist.bench import MnistBench

CPU = torch.device("cpu")
FEW = ("--repeats", "2", "--warmup", "1", "--batches", "3", "--steps", "2")


def run(capsys, *arguments):
    """(exit code, lines, error output) of the command."""
    code = main([*FEW, "--workload", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def config(*overrides):
    common = ["workload=digits", "trainer=cpu", "trainer.threads=1"]
    return compose_config([*common, *overrides], needs_data=False)


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    """The calibration takes most of the time otherwise."""
    monkeypatch.setattr("algoperf_pt.measuring._SIDE", 256)


def test_steps_count_what_the_batch_holds(capsys):
    code, (step, evaluation), _ = run(capsys, "digits", "--batch", 7, "workload.model.hidden=5")
    assert code == 0
    assert (step["what"], evaluation["what"]) == ("step", "eval")
    for line in (step, evaluation):
        assert line["shape"] == {"inputs": [7, 1, 8, 8], "targets": [7], "weights": [7]}
        assert line["batch"] == line["examples"] == line["units"] == 7
        assert (line["workload"], line["unit"], line["repeats"]) == ("digits", "images", 2)
        assert (line["threads"], line["compile"], line["submission"]) == (1, "off", "nadamw")
        assert line["torch"] == torch.__version__ and line["load"] >= 0
        assert "workload.model.hidden=5" in line["overrides"]
        assert not [key for key in line if "reference" in key]
    assert step["parameters_mb"] == pytest.approx(4 * (64 * 5 + 5 + 5 * 10 + 10) / 2**20, rel=1e-4)


def test_figures_belong_together(capsys):
    _, lines, _ = run(capsys, "digits", "--what", "step", "eval", "loader")
    assert [line["what"] for line in lines] == ["step", "eval", "loader_train", "loader_eval"]
    for line in lines:
        quotients = {
            "ratio": line["median_ms"] / line["matmul_ms"],
            "ratio_cpu": line["cpu_ms"] / line["matmul_cpu_ms"],
            "units_per_s": 1e3 * line["units"] / line["median_ms"],
            "units_per_cpu_s": 1e3 * line["units"] / line["cpu_ms"],
        }
        for name, value in quotients.items():
            assert line[name] == pytest.approx(value, rel=1e-3), name
        assert 0 < line["min_ms"] <= line["median_ms"] and line["spread"] >= 1
        assert line["peak_mb"] >= line["start_mb"] > 0


def test_the_sizes_of_the_workload_are_the_default(capsys):
    _, (step, evaluation), _ = run(capsys, "digits", "submission.batch_size=24")
    assert (step["batch"], evaluation["batch"]) == (24, 250)


def test_the_loader_on_prepared_data(capsys, data):
    arguments = ("digits", "--what", "loader", "--data", data, "--batch", 100)
    code, (train, evaluation), _ = run(capsys, *arguments)
    assert code == 0
    assert (train["batches"], train["units"], train["workers"]) == (3, 300, 0)
    assert (evaluation["batches"], evaluation["units"]) == (3, 250)  # 50 rows are padding
    assert evaluation["shape"]["inputs"] == [100, 1, 8, 8]


@pytest.mark.parametrize("name", ["mnist_tiny", "cifar_tiny"])
def test_made_up_data_take_the_real_road(capsys, name):
    code, (train, evaluation), _ = run(capsys, name, "--what", "loader", "--batch", 50)
    assert code == 0
    assert (train["units"], evaluation["units"]) == (150, 150)


@pytest.mark.slow
def test_the_usual_loader_is_measured_beside_ours(capsys):
    """Stages have names and add up; the ratio is that of the two lines."""
    code, lines, err = run(capsys, "imagenet_vit_tiny", "--what", "loader", "--batch", 20)
    assert code == 0, err
    rival, train, evaluation = lines
    assert [line["what"] for line in lines] == ["loader_rival", "loader_train", "loader_eval"]
    assert rival["units"] == train["units"] == 60 and rival["shape"] == train["shape"]
    ratio = train["units_per_cpu_s"] / rival["units_per_cpu_s"]
    assert train["against_rival"] == pytest.approx(ratio, rel=1e-3)
    assert {"read", "decode", "augment", "finish"} < train["parts_ms"].keys()
    assert sum(train["parts_share"].values()) == pytest.approx(1, abs=1e-3)
    before = sum(ms for name, ms in train["parts_ms"].items() if name != "finish")
    assert train["examples_per_cpu_s_before_finish"] == pytest.approx(1e3 / before, rel=1e-3)
    assert evaluation["units"] == 60 and "parts_ms" not in evaluation


@pytest.mark.slow
def test_a_trial_and_where_its_seconds_went(capsys):
    code, (line,), err = run(capsys, "digits", "--what", "trial", "--batch", 8)
    assert code == 0, err
    assert (line["status"], line["steps"], line["batch"]) == ("step_limit", 2, 8)
    assert sum(line["ledger_share"].values()) == pytest.approx(1, abs=1e-3)
    assert line["step_ms"] == pytest.approx(1e3 * line["ledger_s"]["step"] / 2, rel=1e-3)
    assert sum(line["ledger_s"].values()) < line["process_s"]


@pytest.mark.slow
def test_a_trial_that_fails_says_why(capsys):
    broken = "submission.optimizer._target_=torch.optim.Nope"
    code, lines, err = run(capsys, "digits", "--what", "trial", broken)
    assert (code, lines) == (2, [])
    assert "the trial ended with exit code" in err and "torch.optim.Nope cannot be" in err


@pytest.mark.slow
def test_as_a_command():
    command = [sys.executable, "scripts/bench_workload.py", "--workload", "digits", *FEW]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["what"] for line in done.stdout.splitlines()] == ["step", "eval"]


@pytest.mark.slow
def test_a_stop_leaves_nothing_behind(tmp_path):
    """Neither the trial that was started nor the data that were made up for it."""
    command = [sys.executable, "scripts/bench_workload.py", "--workload", "mnist_tiny", *FEW]
    command += ["--what", "trial", "--steps", "1000000"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(TMPDIR=str(tmp_path)))
    end = time.monotonic() + 90
    while not list(tmp_path.glob("*/experiments/*/*/*/*/eval_measurements.csv")):
        assert process.poll() is None and time.monotonic() < end, "no trial was started"
        time.sleep(0.05)
    (trial,) = psutil.Process(process.pid).children()
    every = [trial, *trial.children(recursive=True)]
    process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert not psutil.wait_procs(every, timeout=30)[1]
    assert not list(tmp_path.glob("*/data"))


# ---- mistakes


def test_mistakes_have_a_message(capsys, tmp_path):
    code, lines, err = run(capsys, "digts")
    assert (code, lines) == (2, []) and "did you mean 'digits'?" in err
    code, lines, err = run(capsys, "digits", "--what", "step", "loader", "--data", tmp_path)
    assert (code, lines) == (2, []) and "no prepared data for workload 'digits'" in err
    for wrong in (("--what", "stepp"), ("--batch", "0"), ("--warmup", "-1"), ("--device", "tpu")):
        with pytest.raises(SystemExit) as stop:
            run(capsys, "digits", *wrong)
        assert stop.value.code == 2 and wrong[1] in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(capsys):
    code, lines, err = run(capsys, "digits", "--device", "cuda")
    assert (code, lines) == (2, []) and "torch sees no GPU" in err


def test_a_workload_without_a_bench():
    node = {"name": "strange", "_target_": "tests.support.strange.Strange"}
    with pytest.raises(ConfigError, match="'strange' has no module tests.support.bench"):
        find_bench({"workload": node})


def test_a_bench_without_data():
    class Bare(Bench):
        def train_batch(self, batch_size, generator):
            return {}

    with pytest.raises(ConfigError, match="makes no data") as error:
        Bare(config()).loader_data(None)
    assert "algoperf-prepare digits" in str(error.value)


# ---- the reference's figures


def test_a_reference_counts_at_its_own_shape_alone(capsys, monkeypatch):
    shape = {"inputs": [4, 1, 8, 8]}
    figures = (Reference("step", shape, ratio=2.0, ratio_cpu=4.0, source="a table"),)
    monkeypatch.setattr(MnistBench, "references", figures)
    _, (step, evaluation), _ = run(capsys, "digits", "--batch", 4)
    assert (step["reference_ratio"], step["reference_source"]) == (2, "a table")
    assert step["against_reference"] == pytest.approx(step["ratio"] / 2, rel=1e-3)
    assert step["against_reference_cpu"] == pytest.approx(step["ratio_cpu"] / 4, rel=1e-3)
    assert "reference_ratio" not in evaluation
    for other in (("--batch", 5), ("--batch", 4, "--submission", "adamw")):
        assert "reference_ratio" not in run(capsys, "digits", "--what", "step", *other)[1][0]
    _, (line,), _ = run(capsys, "digits", "--what", "step", "--batch", 4, "--threads", 2)
    torch.set_num_threads(1)
    assert line["threads"] == 2 and "reference_ratio" not in line


def test_a_reference_of_another_number_of_units_is_scaled():
    reference = Reference("loader_train", {}, ratio_cpu=3.0, units=100, units_per_cpu_s=7.0)
    found = compared([reference], "loader_train", {}, 50, {"ratio": 9.0, "ratio_cpu": 0.5})
    assert found["reference_ratio_cpu"] == 1.5 and "reference_ratio" not in found
    assert found["against_reference"] == found["against_reference_cpu"] == pytest.approx(1 / 3)
    assert found["reference_units_per_cpu_s"] == 7.0
    assert compared([reference], "loader_eval", {}, 50, {}) == {}


# ---- what is measured


def test_made_up_batches_are_like_the_workloads_own(trainable):
    """Keys, dtypes, rows and number of axes, so that the step that is measured is the trial's.
    (A sentence is as long as it is, and so are the nodes of all graphs of a batch.)"""
    name, folder = trainable
    version = f"targets={version_of(name)}"
    found = compose_config([f"workload={name}", version, f"data.dir={folder}"])
    bench, data, ranks = find_bench(found), make_data(found), Ranks(CPU)
    generator = torch.Generator().manual_seed(0)
    size = found["workload"]["baseline_batch_size"]
    pairs = [(bench.train_batch(size, generator), next(data.train_batches(size, 0, ranks)))]
    rows = found["workload"]["eval_batch_size"]
    real = next(data.eval_batches("validation", ranks))
    pairs.append((bench.eval_batch(rows, generator), real))
    for made, own in pairs:
        assert made.keys() == own.keys()
        for key, value in own.items():
            assert made[key].dtype == value.dtype, key
            by_row = [len(batch[key]) == len(batch["targets"]) for batch in (made, own)]
            assert made[key].dim() == value.dim() and by_row[0] == by_row[1], key
        assert len(made["targets"]) == len(own["targets"])
        assert 0 < bench.units(own) and 0 < bench.examples(own) <= len(own["targets"])


def test_parts_are_the_whole_step_and_change_nothing():
    """Timed in parts or not: the same parameters to the last bit."""
    batch = find_bench(config()).train_batch(8, torch.Generator().manual_seed(0))
    one, other = (TrainingStep(config()) for _ in range(2))
    start = [p.detach().clone() for p in one.workload.parameters()]
    for _ in range(3):
        one(batch)
        parts = other.parts(batch)
    assert list(parts) == [*PARTS, "update"] and all(value > 0 for value in parts.values())
    for before, a, b in zip(start, one.workload.parameters(), other.workload.parameters()):
        assert torch.equal(a, b) and not torch.equal(a, before)


def test_a_step_leaves_nothing_behind():
    """What is measured next must not find its memory taken."""
    step = TrainingStep(config())
    step.parts(find_bench(config()).train_batch(8, torch.Generator().manual_seed(0)))
    model = weakref.ref(step.workload.model)
    del step
    gc.collect()
    assert model() is None


def test_several_passes_a_step_are_added_up(monkeypatch):
    sam = (f"submission._target_={OPTIMIZER}Sam", "+submission.hparams.rho=0.1")
    step = TrainingStep(config(*sam))
    batch = find_bench(config()).train_batch(step.batch_size, torch.Generator().manual_seed(0))
    calls = []
    loss = step.workload.loss
    step.workload.loss = lambda *args: (calls.append(1), time.sleep(0.01), loss(*args))[-1]
    assert step.batch_size == 64 and step.parts(batch)["loss"] >= 20 and len(calls) == 2


def test_a_step_has_nothing_to_evaluate_on():
    class Asks:
        def setup(self, workload, hparams):
            workload.evaluate("validation")

        def batch_size(self, spec):
            return 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("algoperf_pt.bench_steps.make_submission", lambda config: Asks())
        with pytest.raises(SubmissionError, match="asks for an evaluation"):
            TrainingStep(config())


def test_a_stopwatch_counts_what_is_inside():
    watch = Stopwatch(CPU)
    for _ in range(2):
        with watch:
            time.sleep(0.02)
    time.sleep(0.2)
    assert 0.04 <= watch.wall < 0.2 and watch.cpu < watch.wall


def test_warm_up_does_not_count():
    calls = []

    def once(watch):
        calls.append(1)
        with watch:
            time.sleep(0.05 if len(calls) <= 2 else 0.001)

    found = measure(once, CPU, repeats=3, warmup=2)
    assert len(calls) == 5 and len(found.times.wall) == 3
    assert found.figures()["min_ms"] >= 1 and found.times.median < 50
    assert len(found.before.wall) == len(found.after.wall) == 5


def test_the_peak_is_counted_from_its_start():
    large = torch.ones(64 * 2**18)  # 64 MB that are gone before
    del large
    memory = Memory(CPU)
    first = memory.peak() - memory.start
    block = torch.ones(48 * 2**18)  # 48 MB
    del block
    assert first < 16 and 40 < memory.peak() - memory.start < 64
