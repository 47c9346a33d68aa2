"""What must be installed for a submission?  Its imports, resolved to distributions and versions,
beside those that the benchmark itself requires.  No torch here.
"""

import importlib.util
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata

from algoperf_pt.check.findings import WARN, Finding
from algoperf_pt.check.sources import HARNESS, ROOT, Source, imports

_AS_ALGOPERF = {"algoperf", "algorithmic_efficiency"}  # ours take their place
_OURS = {*HARNESS, "optimizers", "scoring", "scripts", "tests"}
_NAME = re.compile(r"\s*([A-Za-z0-9._-]+)")
# With these kernels are written or replaced.
_KERNELS = {"triton", "cupy", "numba", "apex", "flash_attn", "xformers", "pycuda", "torch_xla"}
_KERNEL_MODULES = ("torch.utils.cpp_extension", "torch.library", "torch.cuda.jiterator")


@dataclass(frozen=True)
class Dependency:
    """An imported top-level module with the distribution that brings it."""

    module: str
    distribution: str  # "": installed by none that is known
    version: str
    where: str
    required: bool  # by the benchmark

    def __str__(self) -> str:
        return f"{self.distribution or self.module} {self.version or '(not installed)'}"


def find_dependencies(sources: Sequence[Source]) -> list[Dependency]:
    """Imports that are neither the submission's own nor of the standard library."""
    own = {part for source in sources for part in (source.path.stem, source.path.parent.name)}
    known, provided = required(), metadata.packages_distributions()
    found: dict[str, Dependency] = {}
    for source in sources:
        for imported in imports(source.tree):
            top = imported.module.partition(".")[0]
            skipped = {"", *sys.stdlib_module_names, *_OURS, *_AS_ALGOPERF, *own}
            if imported.level or top in skipped or top in found:
                continue
            names = provided.get(top, [])
            name = names[0] if names else ""
            version = metadata.version(name) if name else ""
            where = source.where(imported.node)
            found[top] = Dependency(top, name, version, where, normal(name) in known)
    return list(found.values())


def judge(
    dependencies: Sequence[Dependency], sources: Sequence[Source], listed: set[str]
) -> list[Finding]:
    """What is not among the requirements, is not installed, or writes kernels.

    Args:
        dependencies: of the submission.
        sources: its files.
        listed: distributions that the submission says it needs.
    """
    found = []
    for needed in dependencies:
        if not needed.version and importlib.util.find_spec(needed.module) is None:
            text = f"imports {needed.module}, which is not installed"
            fix = "install it, and list it in the submission's requirements.txt with a reason"
            found.append(Finding("dependencies", WARN, text, needed.where, fix))
        elif not needed.required and normal(needed.distribution) not in listed:
            text = f"needs {needed}, which the benchmark does not require"
            fix = "list it in the submission's requirements.txt, with the idea that it serves"
            found.append(Finding("dependencies", WARN, text, needed.where, fix))
    return found + [*_kernels(sources)]


def _kernels(sources: Sequence[Source]) -> Iterable[Finding]:
    for source in sources:
        for imported in imports(source.tree):
            top = imported.module.partition(".")[0]
            if top in _KERNELS or imported.module.startswith(_KERNEL_MODULES):
                text = f"imports {imported.module}, with which kernels are written or replaced"
                fix = "the rules want torch's own kernels"
                yield Finding("dependencies", WARN, text, source.where(imported.node), fix)


def required() -> set[str]:
    """Distributions that the benchmark requires, extras left out; from requirements.txt where the
    project's folder is there, else from the installed package.
    """
    path = ROOT / "requirements.txt"
    if path.is_file():
        lines: Iterable[str] = path.read_text().splitlines()
    else:
        listed = metadata.requires("algoperf-pt") or []
        lines = [line for line in listed if "extra ==" not in line]
    names = (re.match(_NAME, line.partition("#")[0]) for line in lines)
    return {normal(match.group(1)) for match in names if match}


def normal(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def listed_beside(sources: Sequence[Source]) -> set[str]:
    """Names in files requirements.txt beside a submission's files."""
    folders = {source.path.parent for source in sources} - {ROOT}
    paths = [p for p in (folder / "requirements.txt" for folder in folders) if p.is_file()]
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return {normal(m.group(1)) for m in (re.match(_NAME, line) for line in lines) if m}
