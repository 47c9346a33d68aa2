"""Are the files in conf/submission complete, and does every point reach the parts that train?"""

import math
from functools import partial
from typing import Any

import pytest

from algoperf_pt.assemble import make_submission
from algoperf_pt.config import compose_config
from algoperf_pt.instantiate import import_object
from algoperf_pt.spec import make_spec
from tests.optimizers import problem
from tests.optimizers.golden_submission import FOLDER, Run, composed, load

ALL = {path.stem for path in FOLDER.glob("*.yaml")}
RECIPES = {name for name in ALL if name.startswith("target_")}  # points: test_target_setting.py
NAMES = sorted(ALL - RECIPES - {"algoperf"})  # the last needs a file
LIMIT = 1e-5  # relative to the largest value of a tensor, after 20 steps in single precision
CUSTOM = ("submission.optimizer._target_=torch.optim.Adam",)  # that file leaves the class open


def optimizer_class(settings: dict[str, Any]) -> Any:
    kwargs = {key: value for key, value in settings.items() if key != "_target_"}
    return partial(import_object(settings["_target_"], "optimizer"), **kwargs)


def test_the_promised_files_are_there() -> None:
    paper = {"nadamw", "adamw", "heavy_ball", "nesterov", "lamb", "adafactor", "sam", "custom"}
    assert paper <= set(NAMES) and len(RECIPES) == 4


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


@pytest.mark.parametrize("name", NAMES)
def test_every_hyperparameter_changes_something(name: str) -> None:
    """Each value of each point, and of the space, shows in another part of the composed YAML."""
    submission = load(name)
    points = submission.get("points") or []
    for key, usual in submission["hparams"].items():
        values = {point[key] for point in points} or values_of(submission["space"][key])
        for value in values - {usual}:
            moved = load(name, {key: value})
            assert without_hparams(moved) != without_hparams(submission), key


def values_of(dimension: dict[str, Any]) -> set[Any]:
    """Some values of a dimension of a space."""
    return set(dimension.get("feasible_points") or (dimension["min"], dimension["max"]))


def without_hparams(submission: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in submission.items() if key != "hparams"}


@pytest.mark.parametrize("name", ("lamb", "adafactor", "sam", "nadamw"))
def test_the_spaces_without_beta1_are_two_overrides(name: str) -> None:
    """The paper's second space of each baseline has one value in the place of a range."""
    dimension = "submission.space.one_minus_beta1"
    overrides = (f"{dimension}.min=0.1", f"{dimension}.max=0.1")
    space = composed(name, overrides=overrides)["submission"]["space"]
    assert space["one_minus_beta1"] == {"min": 0.1, "max": 0.1, "scaling": "log"}
    assert list(space) == list(load(name)["space"])  # the dimensions keep their order


@pytest.mark.parametrize(
    ("name", "workload", "expected"),
    (
        ("lamb", "imagenet_resnet_silu", 1024),
        ("nadamw", "imagenet_resnet_silu", 512),
        ("cyclic_lr", "imagenet_resnet", 512),
        ("cyclic_lr", "imagenet_resnet_large_bn_init", 512),
        ("dev_mnist_adam", "mnist", 1024),
        ("target/imagenet_vit_glu", "imagenet_vit_glu", 512),
    ),
)
def test_published_batch_sizes(name: str, workload: str, expected: int) -> None:
    command = [f"workload={workload}", f"submission={name}"]
    config = compose_config(command, needs_data=False)
    assert make_submission(config["submission"]).batch_size(make_spec(config)) == expected


def test_a_dropout_schedule_on_the_command_line() -> None:
    schedule = "{_target_: optimizers.dropout.LinearDropout, first: 0.0, last: 0.1, share: 0.5}"
    trial = Run("lion_self", step_hint=40, overrides=(f"submission.dropout_rate={schedule}",))
    rates = [trial.submission.dropout_rate(step) for step in (0, 10, 20, 40)]  # type: ignore
    assert rates == pytest.approx([0.0, 0.05, 0.1, 0.1])


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
