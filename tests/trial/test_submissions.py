"""The freedoms of a submission: several passes a step, averages at evaluations, any
optimizer by its path."""

import pytest

from algoperf_pt.assemble import assemble
from algoperf_pt.config import trial_folder
from algoperf_pt.driver import open_folder
from algoperf_pt.errors import ConfigError, SubmissionError
from algoperf_pt.heartbeat import Heartbeat
from tests.support.runs import OPTIMIZER, assert_same, compose, result, rows, run_inside, state
from tests.support.submissions import Mine

SOON = ("eval_every_steps=10", "max_steps=30")


def build(data, tmp_path, *overrides):
    config = compose(data, tmp_path, *overrides)
    folder = trial_folder(config)
    open_folder(config, folder)
    return assemble(config, folder, Heartbeat())[0]


@pytest.mark.parametrize("kind", ["Adagrad", "RMSprop", "Adam", "LBFGS", "SGD", "Rprop"])
def test_any_torch_optimizer_by_its_path(data, tmp_path, kind):
    code, folder = run_inside(
        data,
        tmp_path,
        "submission=custom",
        f"submission.optimizer._target_=torch.optim.{kind}",
        "submission.hparams.learning_rate=0.01",
        *SOON,
    )
    assert code in (0, 11), result(folder)
    first = float(rows(folder, "measurements.csv")[0]["loss"])
    assert float(rows(folder)[-1]["train/loss"]) < first


def test_own_optimizer_and_what_it_does_not_take(data, tmp_path):
    mine = "submission.optimizer._target_=tests.support.submissions.Mine"
    trial = build(data, tmp_path, mine)
    assert isinstance(trial.submission.optimizer, Mine)
    assert set(trial.submission.dropped) == {"betas", "eps", "weight_decay"}
    trial = build(data, tmp_path / "b", mine, "+submission.optimizer.slope=2.0")
    assert trial.submission.optimizer.param_groups[0]["slope"] == 2.0
    with pytest.raises(ConfigError, match="takes no argument 'betas'"):
        taken_out = ("~submission.hparams.one_minus_beta1", "~submission.hparams.beta2")
        build(data, tmp_path / "c", mine, "submission.optimizer.betas=[0.5,0.5]", *taken_out)


def test_what_is_no_optimizer_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="is no optimizer"):
        build(data, tmp_path, "submission.optimizer._target_=collections.Counter")
    with pytest.raises(ConfigError, match="is no Submission"):
        build(data, tmp_path / "b", "submission._target_=torch.optim.Adam")


def test_sam_takes_two_passes_a_step(data, tmp_path):
    code, folder = run_inside(
        data,
        tmp_path,
        f"submission._target_={OPTIMIZER}Sam",
        "+submission.hparams.rho=0.05",
        "submission.hparams.learning_rate=0.5",
        *SOON,
    )
    assert code in (0, 11), result(folder)
    losses = [float(row["train/loss"]) for row in rows(folder)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_average_is_evaluated_and_training_goes_on_untouched(data, tmp_path):
    _, plain = run_inside(data, tmp_path / "plain", *SOON)
    _, mean = run_inside(data, tmp_path / "mean", f"submission._target_={OPTIMIZER}Average", *SOON)
    assert_same(state(plain, 30)[0]["model"], state(mean, 30)[0]["model"])
    assert [r["train/loss"] for r in rows(plain)] != [r["train/loss"] for r in rows(mean)]
    own = [r["loss"] for r in rows(plain, "measurements.csv") if r["loss"]]
    assert own == [r["loss"] for r in rows(mean, "measurements.csv") if r["loss"]]


def test_a_hyperparameter_that_nothing_reads_is_refused(data, tmp_path):
    momentum = "+submission.hparams.momentum=0.9"
    with pytest.raises(ConfigError, match="nothing reads the hyperparameter 'momentum'"):
        compose(data, tmp_path, momentum)
    own = f"submission._target_={OPTIMIZER}Average"  # only its set-up can tell
    with pytest.raises(SubmissionError, match="nothing reads the hyperparameter 'momentum'"):
        build(data, tmp_path, own, momentum)


def test_the_view_is_read_only(data, tmp_path):
    view = build(data, tmp_path).view
    for name, value in (("spec", None), ("step", 5), ("new", 1), ("time", None)):
        with pytest.raises(AttributeError):
            setattr(view, name, value)
    for name in ("budget", "elapsed", "anything"):
        with pytest.raises(AttributeError):
            setattr(view.time, name, 0.0)
    with pytest.raises(AttributeError):
        view.spec.validation_target = 0.0
    with pytest.raises(TypeError):
        view.spec.num_examples["train"] = 1
    with pytest.raises(TypeError):
        view.param_types["x"] = None
    view.time.evaluations.append({"forged": 1.0})
    assert view.time.evaluations == []


def test_evaluations_on_the_clock_but_never_on_test_data(data, tmp_path):
    view = build(data, tmp_path).view
    assert set(view.evaluate("validation")) == {
        *("validation/accuracy", "validation/loss", "validation/num_examples")
    }
    with pytest.raises(SubmissionError, match="test data are not for training"):
        view.evaluate("test")


@pytest.mark.parametrize("size", [0, -3, 1.5])
def test_impossible_batch_sizes_are_refused(data, tmp_path, size, monkeypatch):
    from algoperf_pt.optimizer_submission import OptimizerSubmission

    monkeypatch.setattr(OptimizerSubmission, "batch_size", lambda self, spec: size)
    with pytest.raises(SubmissionError, match="batch size"):
        build(data, tmp_path)


def test_a_long_set_up_is_refused(data, tmp_path):
    with pytest.raises(SubmissionError, match="Submission.setup took"):
        build(data, tmp_path, "targets.protocol.setup_limit=1e-9")


def test_own_batch_size(data, tmp_path):
    trial = build(data, tmp_path, "submission.batch_size=48")
    assert next(trial.batches())["inputs"].shape == (48, 1, 8, 8)
