"""How does a submission.py find what it imports?  Its own folder, the package path that it was
written for, and AlgoPerf's modules, of which ours take the place.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import re
import sys
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from algoperf_pt.errors import SubmissionError
from algoperf_pt.reference.api import data_utils, param_utils, pytorch_utils, random_utils, spec

FLAVOURS = ("algoperf", "algorithmic_efficiency")  # since version 0.6, and before it
_API = {
    "spec": spec,
    "pytorch_utils": pytorch_utils,
    "random_utils": random_utils,
    "data_utils": data_utils,
    "param_utils": param_utils,
}
_VERSION = "1.0"  # of the interface: the newest that is offered
_PACKAGE = "reference_submission"  # in which submission.py is a module, for its relative imports
_OWN = {"algoperf_pt", "workloads", "timing", "conf"}  # of the harness, in use during a trial
_FRAMEWORKS = {
    *("jax", "jaxlib", "optax", "flax", "chex", "clu", "jraph", "orbax"),
    *("tensorflow", "tensorflow_datasets"),
}
_ROOTS = {  # first parts of package paths in the public repositories
    *("submissions", "submissions_algorithms", "reference_algorithms", "reference_submissions"),
    *("algorithms", "previous_leaderboards", "external_tuning", "self_tuning"),
}
_DEPTHS = ("*.py", "*/*.py", "*/*/*.py")  # of a submission's files
_IMPORT = re.compile(r"^\s*(?:from|import)\s+([\w.]+)", re.MULTILINE)
_FROM = re.compile(r"^\s*from\s+([\w.]+)\s+import\s+([\w, ]+)", re.MULTILINE)


def load(path: Path) -> ModuleType:
    """The module of a submission.py, in a process that runs no other submission.

    Raises:
        SubmissionError: an import that fails, naming the line and what to do.
    """
    folder = path.parent
    _offer_api()
    neighbours = Neighbours(folder)
    neighbours.take_places()
    sys.meta_path.insert(0, neighbours)
    sys.meta_path.append(PackagePaths(folder))
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[_PACKAGE] = package
    name = f"{_PACKAGE}.{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise SubmissionError(
            f"{path} is no Python file", expected="a file that ends in .py", where="submission.path"
        )
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except ImportError as error:
        raise explain_import(error, path) from error
    return module


def unload() -> None:
    """Forget the submission and AlgoPerf's modules (tests run several in a process)."""
    finders = [f for f in sys.meta_path if isinstance(f, (Neighbours, PackagePaths))]
    folders = {finder.folder for finder in finders}
    foreign = {*FLAVOURS, *_ROOTS, _PACKAGE}
    gone = [
        name
        for name, module in sys.modules.items()
        if name.partition(".")[0] in foreign or any(_lies_in(module, f) for f in folders)
    ]
    for name in gone:  # only now: a package without a file looks for its parent
        del sys.modules[name]
    for finder in finders:
        sys.meta_path.remove(finder)
        if isinstance(finder, Neighbours):
            sys.modules.update(finder.replaced)


class Neighbours(importlib.abc.MetaPathFinder):
    """Finds modules and packages beside submission.py before any others of these names, such as
    another `optimizers`; installed packages and those of the harness stay what they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.replaced: dict[str, ModuleType] = {}  # loaded modules whose places were taken
        beside = {
            entry.stem if entry.suffix == ".py" else entry.name
            for entry in folder.iterdir()
            if entry.is_dir() or entry.suffix == ".py"
        }
        taken = {*_OWN, *_FRAMEWORKS, *FLAVOURS, *sys.stdlib_module_names}
        self._names = {n for n in beside - taken if n.isidentifier() and not _is_installed(n)}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of a top-level name; what is in it is found in its own folder."""
        if fullname not in self._names:
            return None
        return _spec_of(fullname, self.folder / fullname)

    def take_places(self) -> None:
        """Put loaded modules of the neighbours' names aside."""
        for name in [n for n in sys.modules if n.partition(".")[0] in self._names]:
            self.replaced[name] = sys.modules.pop(name)


class PackagePaths(importlib.abc.MetaPathFinder):
    """Finds `submissions.NAME.optim` wherever the submission lies: where that path leads from a
    folder above it, or else `optim` in its own folder.  Asked last, for what nobody else finds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        above = {parent.name for parent in (folder, *folder.parents)}
        self._roots = _ROOTS | {name for name in above if name.isidentifier()} - _FRAMEWORKS
        texts = [f.read_text(errors="ignore") for pattern in _DEPTHS for f in folder.glob(pattern)]
        self._imported = {name for text in texts for name in _IMPORT.findall(text)}
        for package, names in (pair for text in texts for pair in _FROM.findall(text)):
            beside = [n for n in re.findall(r"\w+", names) if _spec_of(n, folder / n) is not None]
            self._imported |= {f"{package}.{name}" for name in beside}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of a dotted name, or an empty package on the way to one."""
        parts = fullname.split(".")
        if parts[0] not in self._roots:
            return None
        for parent in (self.folder, *self.folder.parents):
            if (found := _spec_of(fullname, parent.joinpath(*parts))) is not None:
                return found
        if len(parts) > 1 and (found := _spec_of(fullname, self.folder / parts[-1])) is not None:
            return found
        if any(name.startswith(fullname + ".") for name in self._imported):
            return importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        return None


def _spec_of(name: str, path: Path) -> importlib.machinery.ModuleSpec | None:
    """Of the file path.py, or of the package in the folder `path`."""
    file, init = path.with_name(path.name + ".py"), path / "__init__.py"
    if file.is_file():
        return importlib.util.spec_from_file_location(name, file)
    if init.is_file():
        places = [str(path)]
        return importlib.util.spec_from_file_location(
            name, init, submodule_search_locations=places
        )
    if not path.is_dir():
        return None
    package = importlib.machinery.ModuleSpec(name, None, is_package=True)
    package.submodule_search_locations = [str(path)]
    return package


def _offer_api() -> None:
    for flavour in FLAVOURS:
        package: Any = ModuleType(flavour, "AlgoPerf's modules for submissions.")
        package.__path__, package.__version__ = [], _VERSION
        sys.modules[flavour] = package
        for name, module in _API.items():
            setattr(package, name, module)
            sys.modules[f"{flavour}.{name}"] = module


def _is_installed(name: str) -> bool:
    places = [Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")]
    return any((place / name).exists() or (place / f"{name}.py").exists() for place in places)


def _lies_in(module: ModuleType, folder: Path) -> bool:
    own = vars(module)  # not getattr: some modules answer to every name
    places = [own.get("__file__"), *own.get("__path__", [])]
    return any(folder in Path(place).parents for place in places if isinstance(place, str))


def explain_import(error: ImportError, path: Path) -> SubmissionError:
    """The same in the words of a submission's author: which line, and what to do."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if path.parent in Path(frame.filename).parents
    ]
    file, number = (frames[-1].filename, frames[-1].lineno or 0) if frames else (str(path), 0)
    line = linecache.getline(file, number).strip()
    name = (error.name or "").partition(".")[0]
    expected, fix = _advice(error.name or "", name, _member(error))
    return SubmissionError(
        f"the submission imports what is not there: {error}",
        expected=expected,
        where=f"{file}, line {number}: {line}" if line else file,
        fix=fix,
    )


def _member(error: ImportError) -> str:
    """`b` of a failed `from a import b`."""
    found = re.match(r"cannot import name '(\w+)'", str(error))
    return found[1] if found else ""


def _advice(full: str, name: str, member: str) -> tuple[str, str]:
    if name in _FRAMEWORKS:
        return (
            "a PyTorch submission: JAX, TensorFlow and what builds on them are no part of this "
            "benchmark",
            "write schedules with torch.optim.lr_scheduler (LambdaLR takes any function of the "
            f"step), or install {name} yourself",
        )
    if name in FLAVOURS:
        offered = ", ".join(f"{name}.{module}" for module in _API)
        hints = "points of a search space come from submission.space; " * ("halton" in full)
        hints += "get_batch_size is told the workload's name; " * (".workloads" in full)
        return f"one of {offered}", f"{hints}docs/reference_submissions.md lists what is offered"
    last = member or full.rpartition(".")[2] or "it"
    return (
        "modules beside submission.py, where its package path leads, or installed",
        f"put {last} into the submission's folder, or install the package that has it",
    )
