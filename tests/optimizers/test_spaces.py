"""Are the files in conf/submission complete, and does every point reach the parts that train?"""

import math
from functools import partial
from typing import Any

import pytest
from omegaconf import OmegaConf

from algoperf_pt.config import register_resolvers
from algoperf_pt.instantiate import import_object
from optimizers.schedules import WarmupCosine, WarmupLinear
from tests.optimizers import problem
from tests.optimizers.golden_submission import FOLDER, Run, node

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
LIMIT = 1e-5  # relative to the largest value of a tensor, after 20 steps in single precision
CUSTOM = ("submission.optimizer._target_=torch.optim.Adam",)  # that file leaves the class open


@pytest.fixture(autouse=True)
def one_minus() -> None:
    register_resolvers()


def load(name: str, hparams: dict[str, Any] | None = None) -> dict[str, Any]:
    """A submission with its interpolations resolved, at its own or at another point."""
    config = OmegaConf.create({"submission": node(name)})
    config.submission.hparams = {**config.submission.get("hparams", {}), **(hparams or {})}
    if OmegaConf.is_missing(config.submission.optimizer, "_target_"):
        config.submission.optimizer._target_ = "torch.optim.Adam"
    resolved: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        config, resolve=True, throw_on_missing=True
    )
    return resolved["submission"]  # type: ignore[no-any-return]


def optimizer_class(settings: dict[str, Any]) -> Any:
    kwargs = {key: value for key, value in settings.items() if key != "_target_"}
    return partial(import_object(settings["_target_"], "optimizer"), **kwargs)


def test_the_promised_files_are_there() -> None:
    assert {"nadamw", "adamw", "heavy_ball", "nesterov", "custom"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_and_reads_every_hyperparameter(name: str) -> None:
    trial = Run(name, overrides=CUSTOM if name == "custom" else ())
    assert trial.config["submission"]["name"] == name
    assert trial.hparams.unread() == []
    for _ in range(3):
        trial.step()
    assert all(p.isfinite().all() for p in trial.workload.parameters())
    moved = trial.parameters()
    assert all((moved[n] != p.detach().numpy()).any() for n, p in problem.parameters().items())


@pytest.mark.parametrize("name", NAMES)
def test_space_and_points_have_the_hyperparameters(name: str) -> None:
    submission = load(name)
    hparams, space = submission["hparams"], submission.get("space") or {}
    if submission["tuning"] == "self":
        assert not hparams and not space and not submission.get("points")
        return
    assert space or submission["points"]
    if space:
        assert list(space) == list(hparams)  # the order is that of the dimensions
    for point in submission.get("points") or []:
        assert set(point) == set(hparams)
    for key, value in space.items():
        if "feasible_points" in value:
            assert set(value) == {"feasible_points"} and value["feasible_points"], key
        else:
            assert set(value) == {"min", "max", "scaling"}, key
            assert value["min"] < value["max"] and value["scaling"] in ("log", "linear"), key


@pytest.mark.parametrize("name", NAMES)
def test_the_default_point_is_a_published_one_or_in_the_space(name: str) -> None:
    submission = load(name)
    if submission.get("points"):
        assert submission["hparams"] == submission["points"][0]
        return
    for key, value in (submission.get("space") or {}).items():
        point = submission["hparams"][key]
        if "feasible_points" in value:
            assert point in value["feasible_points"]
        else:
            assert value["scaling"] == "log"
            middle = math.sqrt(value["min"] * value["max"])
            assert point == pytest.approx(middle, rel=0.15)


def test_every_point_reaches_the_optimizer_and_the_schedule() -> None:
    for point in load("nadamw")["points"]:
        moved = load("nadamw", point)
        assert moved["optimizer"]["lr"] == point["learning_rate"]
        assert moved["optimizer"]["betas"] == [1.0 - point["one_minus_beta1"], point["beta2"]]
        assert moved["optimizer"]["weight_decay"] == point["weight_decay"]
        assert moved["schedule"]["warmup_factor"] == point["warmup_factor"]
        assert moved["label_smoothing"] == point["label_smoothing"]
        assert moved["dropout_rate"] == point["dropout_rate"]


@pytest.mark.parametrize("case", ("raw_adamw", "raw_heavy_ball", "raw_nesterov"))
def test_golden_rule_of_torch(case: str) -> None:
    settings = load(case.removeprefix("raw_"))["optimizer"] | problem.meta()[case]["kwargs"]
    assert problem.largest_error(case, problem.train(optimizer_class(settings))) < LIMIT


@pytest.mark.parametrize("case", ("nadamw", "adamw", "momentum", "nesterov"))
def test_golden_target_setting(case: str) -> None:
    """The same parts with absolute warm-ups, beta1 itself, and three quarters of the step hint."""
    meta = problem.meta()[f"target_{case}"]
    point = meta["hyperparameters"]
    common = {"horizon_factor": 0.75, "warmup_steps": point["warmup_steps"]}
    settings = load("heavy_ball" if case == "momentum" else case)["optimizer"]
    settings |= {"lr": point["learning_rate"], "weight_decay": point["weight_decay"]}
    schedule: WarmupCosine | WarmupLinear
    if case in ("nadamw", "adamw"):
        settings["betas"] = (point["beta1"], point["beta2"])
        schedule = WarmupCosine(meta["step_hint"], **common)
    else:
        settings["momentum"] = point["beta1"]
        shape = {key: point[key] for key in ("decay_steps_factor", "end_factor")}
        schedule = WarmupLinear(meta["step_hint"], **shape, **common)
    found = problem.train(
        optimizer_class(settings), schedule, label_smoothing=point.get("label_smoothing", 0.0)
    )
    assert problem.largest_error(f"target_{case}", found) < LIMIT
