"""Does the doctor see versions that do not go together?  On made-up installations."""

import pytest

from algoperf_pt.doctor.finding import Examined
from algoperf_pt.doctor.versions import Installed, look_at_versions

VERSIONS = {"algoperf-pt": "0.1", "torch": "2.14.1", "torchvision": "0.29.1", "lightning": "2.6.6"}
VERSIONS |= {"filelock": "4.0"}
REQUIRES = {
    "algoperf-pt": [
        "torch<2.15,>=2.11",
        "lightning!=2.6.2,!=2.6.3,<2.7,>=2.6",
        'torchvision<0.30,>=0.26; extra == "imagenet"',
        'wandb>=0.19; extra == "wandb"',
    ],
    "torch": ["filelock>=3", 'pywin32; platform_system == "Windows"'],
    "torchvision": ["torch==2.14.1"],
}


def problems(tmp_path, pins="", **changes):
    """Lines about an installation with other versions; None: not installed."""
    kept = {n: v for n, v in {**VERSIONS, **changes}.items() if v is not None}
    (tmp_path / "requirements.txt").write_text(pins)
    found = Examined("versions")
    look_at_versions(found, Installed(kept, REQUIRES), tmp_path / "requirements.txt")
    return [p.text for p in found.problems], [p.fix for p in found.problems], found.facts


def test_a_whole_installation_has_no_problem(tmp_path):
    texts, _, facts = problems(tmp_path, "torch==2.14.1\nfilelock==5\n")
    assert texts == []
    assert "torch 2.14.1" in facts and "1 of 2 pinned packages have another version" in facts


def test_a_local_build_has_the_pinned_version(tmp_path):
    facts = problems(tmp_path, "torch==2.14.1\n", torch="2.14.1+cu130")[2]
    assert "0 of 1 pinned packages have another version" in facts


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_compromised_lightning_is_named(tmp_path, version):
    texts, fixes, _ = problems(tmp_path, lightning=version)
    assert f"lightning {version} is a compromised release" in texts
    assert any("pip uninstall lightning" in fix for fix in fixes)


def test_a_version_outside_the_project_s_range(tmp_path):
    texts, fixes, _ = problems(tmp_path, torch="2.10.0", torchvision=None)
    assert texts == ["algoperf-pt needs torch<2.15,>=2.11; 2.10.0 is installed"]
    assert fixes == ["pip install 'torch<2.15,>=2.11'"]


def test_an_installed_extra_outside_its_range(tmp_path):
    texts, *_ = problems(tmp_path, torchvision="0.31.0")
    assert texts == ["algoperf-pt needs torchvision<0.30,>=0.26; 0.31.0 is installed"]


def test_something_that_a_companion_needs_is_missing(tmp_path):
    texts, *_ = problems(tmp_path, filelock=None)
    assert texts == ["torch needs filelock>=3, which is not installed"]


def test_a_torch_that_was_not_tried_is_told_and_no_problem(tmp_path):
    texts, _, facts = problems(tmp_path, torch="2.12.0", torchvision=None)
    assert texts == [] and "torch 2.12 was not tried; 2.11, 2.14 were" in facts


def test_this_installation_is_whole():
    found = Examined("versions")
    look_at_versions(found)
    assert not [p for p in found.problems if "compromised" in p.text]
    assert any(fact.startswith("torch 2.") for fact in found.facts)
