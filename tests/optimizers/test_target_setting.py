"""Does each workload have its point of target setting, and does the recipe read all of it?"""

import pytest
from omegaconf import OmegaConf

from algoperf_pt.instantiate import instantiate
from tests.optimizers import problem
from tests.optimizers.golden_submission import FOLDER, Run, load
from tests.support.workloads import TIERS

POINTS = sorted(path.stem for path in (FOLDER / "target").glob("*.yaml"))
SUFFIXES = ("_older", "_nadamw")  # other points, or rules, of a workload
OTHERS = {"mnist", "cifar", "criteo1tb_test", "finewebedu_lm"}  # have no published point
GOLDEN = {  # one point a rule, by hand from the published table: catches a swapped column
    "wmt": (0.0017486387539278373, 0.9326607383586145, 1999, 0.08121616522670176),
    "librispeech_conformer": (0.002106913873888147, 0.8231189937738506, 1199, 0.27590534177690645),
    "fastmri": (0.028609, 0.981543, 1357, 0.000576),
    "imagenet_resnet": (4.131896390902391, 0.9274758113254791, 6999, 5.6687777311501786e-06),
}


def workload_of(point: str) -> str:
    for suffix in SUFFIXES:
        point = point.removesuffix(suffix)
    return point


def test_every_full_workload_with_a_published_point_has_it() -> None:
    full = {name for name, tier in TIERS.items() if tier == "full"}
    assert {workload_of(point) for point in POINTS} == full - OTHERS
    assert len(POINTS) == 35  # 34 published, one of them by two rules


@pytest.mark.parametrize("point", POINTS)
def test_the_recipe_reads_the_point_on_its_workload(point: str) -> None:
    """Warm-up and horizon fit the step hints of both versions with these workloads."""
    submission = load(f"target/{point}")
    settings, hparams = submission["optimizer"], submission["hparams"]
    assert settings["lr"] == hparams["learning_rate"]
    assert settings["weight_decay"] == hparams["weight_decay"]
    assert settings.get("momentum") == hparams["beta1"] or settings["betas"] == [
        hparams["beta1"],
        hparams["beta2"],
    ]
    for version in ("v05", "v06"):
        targets = OmegaConf.load(FOLDER.parent / "targets" / f"{version}.yaml")
        hint = targets.workloads[workload_of(point)].step_hint
        schedule = instantiate(submission["schedule"], step_hint=hint)
        assert schedule.warmup == hparams["warmup_steps"] and schedule(schedule.warmup) == 1.0
        end = hparams.get("end_factor", 0.0)
        assert schedule(int(0.75 * hint)) == pytest.approx(end, abs=1e-12)


@pytest.mark.parametrize("point", ("wmt", "fastmri"))
def test_the_recipe_trains(point: str) -> None:
    trial = Run(f"target/{point}", step_hint=18094)
    assert trial.hparams.unread() == []
    trial.step()
    trial.step()
    assert (trial.parameters()["w1"] != problem.parameters()["w1"].detach().numpy()).any()


@pytest.mark.parametrize("name", GOLDEN)
def test_published_points(name: str) -> None:
    point = load(f"target/{name}")["hparams"]
    keys = ("learning_rate", "beta1", "warmup_steps", "weight_decay")
    assert tuple(point[key] for key in keys) == GOLDEN[name]
