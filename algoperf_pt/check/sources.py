"""Which files are the submission's own?  Those that it names and what they import, the harness,
installed packages and the standard library left out.  No torch here, and nothing is run.
"""

import ast
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_pt.check.subject import Subject
from algoperf_pt.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HARNESS = ("algoperf_pt", "timing", "workloads", "conf", "hydra_plugins")
_LIBRARIES = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")}


@dataclass(frozen=True)
class Source:
    """A file of the submission."""

    path: Path
    tree: ast.Module

    def where(self, node: ast.AST) -> str:
        """File and line of a node, short enough to be read."""
        return f"{shown(self.path)}:{getattr(node, 'lineno', 1)}"


@dataclass(frozen=True)
class Import:
    """A module that a file imports, with its line; `level` dots stand before it."""

    module: str
    node: ast.AST
    level: int = 0


def shown(path: Path) -> str:
    """Relative to the current folder where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def find_sources(subject: Subject, submission: Any) -> list[Source]:
    """The submission's files, those that were named first.

    Args:
        subject: what is checked.
        submission: its part of the composed configuration, with dotted paths under `_target_`.
    """
    folders = [*subject.python_path, ROOT, Path.cwd()]
    waiting = list(subject.files)
    for target in targets(submission):
        waiting += _files_of(target.rpartition(".")[0], folders)
    found: dict[Path, Source] = {}
    while waiting:
        path = waiting.pop(0).resolve()
        if path in found or not is_own(path):
            continue
        found[path] = read(path)
        beside = [path.parent, *folders] if subject.reference else folders
        for imported in imports(found[path].tree):
            waiting += _imported_files(imported, path, beside)
    return list(found.values())


def read(path: Path) -> Source:
    """A parsed file.

    Raises:
        ConfigError: it is no Python.
    """
    try:
        return Source(path, ast.parse(path.read_text(), str(path)))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as Python: {error}", where="PATH") from error


def is_own(path: Path) -> bool:
    """Whether a file belongs to neither harness, standard library nor installed packages."""
    if any(path.is_relative_to(ROOT / name) for name in HARNESS):
        return False
    return not any(path.is_relative_to(library) for library in _LIBRARIES)


def targets(node: Any) -> Iterator[str]:
    """Dotted paths under `_target_` in nested containers."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "_target_" and isinstance(value, str):
                yield value
            else:
                yield from targets(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from targets(value)


def imports(tree: ast.AST) -> list[Import]:
    """Everything that a file imports, with what `from X import Y` may mean: X and X.Y."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found.append(Import(module, node, node.level))
            inside = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
            found += [Import(name, node, node.level) for name in inside]
    return found


def _imported_files(imported: Import, path: Path, folders: Sequence[Path]) -> list[Path]:
    if imported.level:
        above = path.parents[imported.level - 1]
        return _files_of(imported.module, [above])
    top = imported.module.partition(".")[0]
    if top in sys.stdlib_module_names or top in HARNESS:
        return []
    return _files_of(imported.module, folders)


def _files_of(module: str, folders: Iterable[Path]) -> list[Path]:
    """The module's file and the __init__ of its packages, in the first folder that has it."""
    parts = module.split(".") if module else []
    for folder in folders:
        place = folder.joinpath(*parts)
        file = place.with_suffix(".py") if parts else place / "__init__.py"
        file = file if file.is_file() else place / "__init__.py"
        if parts and file.is_file():
            above = [folder.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts))]
            return [file, *(p for p in above if p.is_file())]
    return []
