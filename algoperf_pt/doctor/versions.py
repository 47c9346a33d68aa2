"""Are Python, torch and their companions of versions that go together?  The requirements that the
packages themselves state, the project's pins, and releases that must not run.
"""

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

import algoperf_pt
from algoperf_pt.doctor.finding import Examined
from algoperf_pt.doctor.known import known

OURS = "algoperf-pt"
_TOLD = ("torch", "torchvision", "lightning", "hydra-core", "numpy", "triton")
_AGAIN = "pip install -r requirements.txt"


class Installed:
    """The distributions that Python finds, by canonical name.

    Args:
        versions: name -> version.
        requires: name -> requirements as it states them.
    """

    def __init__(self, versions: Mapping[str, str], requires: Mapping[str, list[str]]) -> None:
        self.versions, self.requires = versions, requires

    @staticmethod
    def here() -> "Installed":
        """Those of this interpreter."""
        found = [(str(canonicalize_name(d.name)), d) for d in distributions() if d.name]
        first = dict(reversed(found))  # the first on the path is the one that is imported
        versions = {name: d.version for name, d in first.items()}
        return Installed(versions, {name: list(d.requires or []) for name, d in first.items()})

    def closure(self, name: str) -> list[str]:
        """The distribution and all that it needs, as far as they are installed."""
        seen, todo = [name], [name]
        while todo:
            for requirement in self.needed(todo.pop()):
                other = canonicalize_name(requirement.name)
                if other not in seen and other in self.versions:
                    seen.append(other)
                    todo.append(other)
        return seen

    def needed(self, name: str, extra: bool = False) -> Iterator[Requirement]:
        """What it requires on this platform; with `extra`, what only its extras do."""
        for text in self.requires.get(name, []):
            try:
                found = Requirement(text)
            except InvalidRequirement:
                continue
            always = found.marker is None or found.marker.evaluate({"extra": ""})
            if always != extra:
                yield found


def look_at_versions(
    found: Examined,
    here: Installed | None = None,
    pins: Path = Path(algoperf_pt.__file__).parents[1] / "requirements.txt",
) -> None:
    """Compare what is installed.

    Args:
        found: where facts and problems go.
        here: the distributions; None: this interpreter's.
        pins: a requirements.txt; without it nothing is compared with pins.
    """
    here = here or Installed.here()
    found.facts.append(f"python {platform.python_version()}")
    found.facts += [f"{name} {here.versions[name]}" for name in _TOLD if name in here.versions]
    _python(found)
    _compromised(found, here)
    _requirements(found, here)
    _tried(found, here)
    _pins(found, here, pins)


def _python(found: Examined) -> None:
    minor, tried = ".".join(platform.python_version_tuple()[:2]), known()["python"]
    if minor not in tried:
        text = f"Python {minor} is not one of {', '.join(tried)}"
        found.wrong(text, f"make a new environment: python{tried[0]} -m venv .venv")


def _compromised(found: Examined, here: Installed) -> None:
    for name, versions in known()["compromised"].items():
        version = here.versions.get(name)
        if version in versions:
            fix = f"pip uninstall {name}; {_AGAIN}; change every password that was in reach"
            found.wrong(f"{name} {version} is a compromised release", fix)


def _requirements(found: Examined, here: Installed) -> None:
    """All that the project needs, and what that needs; extras only where they are installed."""
    if OURS not in here.versions:
        text = f"{OURS} is not installed: only a checkout's own folder can import it"
        found.wrong(text, "pip install --no-deps -e .")
    for name in here.closure(OURS):
        for requirement in here.needed(name):
            _met(found, here, name, requirement)
    for requirement in here.needed(OURS, extra=True):
        if canonicalize_name(requirement.name) in here.versions:
            _met(found, here, OURS, requirement)


def _met(found: Examined, here: Installed, name: str, requirement: Requirement) -> None:
    version = here.versions.get(canonicalize_name(requirement.name))
    wanted = f"{requirement.name}{requirement.specifier}"
    if version is None:
        found.wrong(f"{name} needs {wanted}, which is not installed", f"pip install '{wanted}'")
    elif not _fits(requirement, version):
        found.wrong(f"{name} needs {wanted}; {version} is installed", f"pip install '{wanted}'")


def _fits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _tried(found: Examined, here: Installed) -> None:
    minor = ".".join(here.versions.get("torch", "").split(".")[:2])
    if minor and minor not in known()["torch"]:
        found.facts.append(f"torch {minor} was not tried; {', '.join(known()['torch'])} were")


def _pins(found: Examined, here: Installed, path: Path) -> None:
    """Other versions than the pins are allowed, but told."""
    if not path.is_file():
        return
    pairs = [line.partition("==") for line in path.read_text().splitlines() if "==" in line]
    pinned = {canonicalize_name(name): version.strip() for name, _, version in pairs}
    differ = [n for n, v in pinned.items() if here.versions.get(n, v).split("+")[0] != v]
    found.facts.append(f"{len(differ)} of {len(pinned)} pinned packages have another version")
