"""What a trial leaves behind: AlgoPerf's files and columns, and our own."""

import json
import math

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from algoperf_pt.config import trial_folder
from algoperf_pt.errors import ConfigError
from algoperf_pt.loggers import make_loggers
from algoperf_pt.records import Records, verify_events
from tests.support.runs import compose, result, rows, run_inside

STEPS = ("max_steps=12", "eval_every_steps=5", "logger.first=4", "logger.every=6")
EVAL_COLUMNS = """accumulated_eval_time accumulated_logging_time accumulated_submission_time
 global_step preemption_count score test/accuracy test/loss test/num_examples total_duration
 train/accuracy train/loss validation/accuracy validation/loss validation/num_examples""".split()


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    return run_inside(data, tmp_path_factory.mktemp("e"), *STEPS, "logger.tensorboard=true")[1]


def test_evaluations_have_algoperfs_columns_in_its_order(folder):
    header = (folder / "eval_measurements.csv").read_text().splitlines()[0]
    assert header == ",".join(EVAL_COLUMNS)
    found = rows(folder)
    assert [row["global_step"] for row in found] == ["5", "10", "12"]
    for row in found:
        assert row["score"] == row["accumulated_submission_time"]
        parts = sum(float(row[f"accumulated_{k}_time"]) for k in ("submission", "eval", "logging"))
        assert parts == pytest.approx(float(row["total_duration"]), rel=1e-3, abs=5e-3)
    scores = [float(row["score"]) for row in found]
    assert scores == sorted(scores)


def test_all_rows_are_in_measurements(folder):
    found = rows(folder, "measurements.csv")
    training = [int(row["global_step"]) for row in found if row["loss"]]
    assert training == [0, 1, 2, 3, 4, 6]  # numbered before the update, as the reference does
    assert [row["global_step"] for row in found if row["validation/accuracy"]] == ["5", "10", "12"]
    last = found[-1]
    filled = {key for key, value in last.items() if value}
    assert filled == {"score", "global_step", "preemption_count"}
    assert all(math.isfinite(float(row["grad_norm"])) for row in found if row["loss"])


def test_the_other_files(folder):
    def read(name):
        return json.loads((folder / name).read_text())

    assert read("hparams.json")["learning_rate"] == pytest.approx(0.0013082, rel=1e-4)
    meta = read("meta_data_0.json")
    assert meta["workload.target_metric_name"] == "accuracy"
    assert meta["workload.max_allowed_runtime_sec"] > meta["workload.eval_period_time_sec"]
    assert read("flags_0.json")["submission.name"] == "nadamw"
    environment = read("environment.json")
    for key in ("torch", "config_sha256", "source_sha256", "data_fingerprint", "seed", "numerics"):
        assert environment[key] is not None, key
    assert len(environment["source_sha256"]) == len(environment["data_fingerprint"]) == 64
    assert read("config.json")["workload"]["name"] == "digits"
    assert result(folder)["comparable"] is False
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard(folder):
    found = EventAccumulator(str(folder)).Reload()
    values = found.Scalars("validation/accuracy")
    assert [value.step for value in values] == [5, 10, 12]
    assert values[-1].value == pytest.approx(float(rows(folder)[-1]["validation/accuracy"]))
    assert "train_step/loss" in found.Tags()["scalars"]


def test_the_event_log_shows_an_edit_and_a_cut(folder, tmp_path):
    lines = (folder / "events.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds == ["start", "evaluation", "evaluation", "evaluation", "end"]
    assert verify_events(folder / "events.jsonl") == 5
    copy = tmp_path / "events.jsonl"
    copy.write_text("\n".join(lines).replace('"score": ', '"score": 1') + "\n")
    with pytest.raises(ValueError, match="events.jsonl:2: the event does not follow"):
        verify_events(copy)
    copy.write_text("\n".join(lines[:1] + lines[2:]) + "\n")
    with pytest.raises(ValueError, match="events.jsonl:2"):
        verify_events(copy)


def test_columns_that_come_later_are_added_at_the_right(tmp_path):
    records = Records(tmp_path)
    records.training_row({"global_step": 0, "loss": 1.5})
    records.training_row({"global_step": 1, "loss": 1.25, "a": 'x,"y'})
    records.training_row({"global_step": 2, "loss": float("nan")})
    lines = (tmp_path / "measurements.csv").read_text().splitlines()
    assert lines == ["global_step,loss,a", "0,1.5,", '1,1.25,"x,""y"', "2,nan,"]


def test_ranks_other_than_zero_write_nothing(tmp_path):
    records = Records(tmp_path, active=False)
    records.training_row({"global_step": 0})
    records.event("start", {})
    records.write_json("x.json", {})
    assert list(tmp_path.iterdir()) == []


def test_wandb_that_is_not_installed(data, tmp_path):
    config = compose(data, tmp_path, "logger=wandb", "logger.tensorboard=false")
    try:
        import wandb  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="wandb is not installed"):
            make_loggers(config, trial_folder(config))
    else:
        pytest.skip("wandb is installed here; the message is for those who lack it")
