"""What was given to be checked?  A name, a YAML, a class, a folder or a submission.py becomes the
words of a trial and the place of the source.  No torch here.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from algoperf_pt.errors import ConfigError

REFERENCE = ("init_optimizer_state", "update_params", "data_selection", "get_batch_size")
_SPACE = "tuning_search_space.json"
_FIX = (
    "a folder of `python -m algoperf_pt.new submission`, a YAML, FILE.py, FILE.py:Class, "
    "package.module.Class, a name in conf/submission, or a submission.py written for AlgoPerf"
)


@dataclass(frozen=True)
class Subject:
    """A submission that can be started.

    Args:
        name: of it.
        words: the overrides that choose it.
        config_dir: the user's own folder of configuration groups.
        python_path: folders from which its modules are imported.
        files: Python files that were named; others are found by what the configuration imports.
        reference: whether it is a submission.py written for AlgoPerf.
    """

    name: str
    words: tuple[str, ...]
    config_dir: Path | None = None
    python_path: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    reference: bool = False


def find_subject(path: str, words: Sequence[str], scratch: Path) -> Subject:
    """The submission that a user means.

    Args:
        path: as typed.
        words: further overrides.
        scratch: folder for a configuration where the submission brings none.

    Raises:
        ConfigError: nothing of the kind is there.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        return _of_folder(place.resolve(), words, scratch)
    if place.suffix in (".yaml", ".yml") and place.is_file():
        return _of_yaml(place.resolve(), scratch)
    file, _, name = path.partition(".py:")
    if name or place.suffix == ".py":
        script = Path(f"{file}.py" if name else path).expanduser().resolve()
        if script.is_file():
            return _of_script(script, name, words, scratch)
    elif (Path(str(files("conf")), "submission") / f"{path}.yaml").is_file():
        return Subject(path, (f"submission={path}",))
    elif re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", path):
        return _of_class(path, (), (), scratch)
    raise ConfigError(f"there is no submission {path!r}", expected=_FIX, where="PATH")


def _of_folder(folder: Path, words: Sequence[str], scratch: Path) -> Subject:
    if (folder / "submission.py").is_file() and _is_reference(folder / "submission.py"):
        return _of_reference(folder / "submission.py", words)
    conf = folder / "conf"
    found = sorted((conf / "submission").glob("*.yaml"))
    chosen = [w.partition("=")[2] for w in words if w.startswith("submission=")]
    if chosen:
        found = [p for p in found if p.stem == chosen[0]]
    if len(found) != 1:
        raise ConfigError(
            f"{folder} holds {len(found)} submissions in conf/submission",
            expected="one YAML there, or a submission.py for AlgoPerf",
            where="PATH",
            fix="name one: PATH submission=NAME" if found else _FIX,
        )
    name = found[0].stem
    own = tuple(p for p in sorted(folder.rglob("*.py")) if not p.name.startswith("test_"))
    return Subject(name, (f"submission={name}",), conf, (folder.parent,), own)


def _of_yaml(path: Path, scratch: Path) -> Subject:
    paths = (Path.cwd(), path.parent)
    if path.parent.name == "submission":
        above = path.parents[1]
        own = above.parent.parent if above.name == "conf" else above.parent
        return Subject(path.stem, (f"submission={path.stem}",), above, (*paths, own))
    return _written(path.stem, path.read_text(), paths, (), scratch)


def _of_script(path: Path, name: str, words: Sequence[str], scratch: Path) -> Subject:
    if not name and _is_reference(path):
        return _of_reference(path, words)
    text = re.compile(rf"_target_:\s*['\"]?(\w+\.)*{re.escape(path.stem)}\.")
    beside = [p for p in sorted(path.parent.glob("*.yaml")) if text.search(p.read_text())]
    if not name and len(beside) == 1:
        given = _of_yaml(beside[0], scratch)
        return Subject(given.name, given.words, given.config_dir, given.python_path, (path,))
    found = _classes(path)
    chosen = [n for n in found if n == name] if name else list(found)[-1:]
    if not chosen:
        raise ConfigError(
            f"{path} defines no class {name or 'of a submission or an optimizer'}",
            expected="a subclass of algoperf_pt.submission.Submission or torch.optim.Optimizer, "
            f"or the functions {', '.join(REFERENCE)}",
            where="PATH",
            fix=f"one of {', '.join(found)}: FILE.py:Class" if found else _FIX,
        )
    return _of_class(f"{path.stem}.{chosen[0]}", (path.parent,), (path,), scratch, found[chosen[0]])


def _of_class(
    target: str, paths: tuple[Path, ...], own: tuple[Path, ...], scratch: Path, base: str = ""
) -> Subject:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", target.rpartition(".")[2]).lower()
    if "optim" in base.lower() and "submission" not in base.lower():
        rate = "'${submission.hparams.learning_rate}'"
        text = f"name: {name}\nhparams: {{learning_rate: 1.0e-3}}\n"
        text += f"optimizer: {{_target_: {target}, lr: {rate}}}\n"
    else:
        text = f"_target_: {target}\nname: {name}\ntuning: ${{ruleset.tuning}}\n"
    return _written(name, text, (*paths, Path.cwd()), own, scratch)


def _written(
    name: str, text: str, paths: tuple[Path, ...], own: tuple[Path, ...], scratch: Path
) -> Subject:
    folder = scratch / "conf" / "submission"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = f"checked_{name}"  # ours come before those of a user's folder
    (folder / f"{chosen}.yaml").write_text(text)
    return Subject(name, (f"submission={chosen}",), scratch / "conf", paths, own)


def _of_reference(path: Path, words: Sequence[str]) -> Subject:
    space = path.parent / _SPACE
    typed = any("submission.hparams." in w or w.startswith("submission.space=") for w in words)
    rest = [f"submission.space={space}"] if space.is_file() and not typed else []
    if not rest and not typed:
        rest = ["ruleset=self_tuning"]
    name = path.parent.name
    chosen = ("submission=algoperf", f"submission.path={path}", f"submission.name={name}")
    return Subject(name, (*chosen, *rest), files=(path,), reference=True)


def _is_reference(path: Path) -> bool:
    functions = {n.name for n in _parsed(path).body if isinstance(n, ast.FunctionDef)}
    return len(functions & set(REFERENCE)) >= 2


def _classes(path: Path) -> dict[str, str]:
    """Name -> base classes of what looks like a submission or an optimizer; where nothing does, of
    all classes that inherit, as a base that is imported may have any name.
    """
    found: dict[str, str] = {}
    for node in _parsed(path).body:
        if isinstance(node, ast.ClassDef) and node.bases:
            bases = [ast.unparse(base) for base in node.bases]
            found[node.name] = " ".join([*bases, *(found.get(base, "") for base in bases)])
    likely = {n: bases for n, bases in found.items() if re.search(r"Submission|Optim", bases)}
    return likely or found


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(), str(path))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read as Python: {error}", expected="a Python file", where="PATH"
        ) from error
