"""How do I begin?  `python -m algoperf_pt.new submission my_opt` (or `workload my_task`) writes a
folder that works at once, to be changed from there.

The templates are files below algoperf_pt/templates.  In their names NAME, in their text $name (and
$Class in camel case) stand for the name that was asked for.
"""

import argparse
import importlib.util
import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from algoperf_pt.errors import AlgoperfError, ConfigError
from algoperf_pt.instantiate import find_own_modules

KINDS = ("submission", "workload")
_SUFFIX = ".txt"  # so that no tool takes a template for a module or a configuration


def new(kind: str, name: str, out: Path) -> Path:
    """Write the folder `out`/`name`, a Python package with its configuration and tests.

    Args:
        kind: one of KINDS.
        name: of the package, and of the choice on the command line.
        out: folder in which it is made.

    Raises:
        ConfigError: the name is no good or taken, or the folder exists.  Nothing is overwritten.
    """
    _check_name(kind, name)
    folder = out.expanduser() / name
    if folder.exists():
        raise ConfigError(
            f"{folder} exists", expected="a new folder", fix="another name, or --out DIR"
        )
    _check_free(kind, name)
    words = {"name": name, "Class": "".join(part.capitalize() for part in name.split("_"))}
    root = Path(str(files("algoperf_pt"))) / "templates" / kind
    texts = {
        str(path.relative_to(root)).replace("NAME", name).removesuffix(_SUFFIX): path
        for path in sorted(root.rglob("*" + _SUFFIX))
    }
    written = {place: Template(path.read_text()).substitute(words) for place, path in texts.items()}
    for place, text in written.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    return folder


def _check_name(kind: str, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} is no name for a {kind}",
            expected="small letters, digits and single underscores, a letter first; "
            "no word of Python's own",
            fix=f"for example my_{kind}",
        )


def _check_free(kind: str, name: str) -> None:
    if (Path(str(files("conf"))) / kind / f"{name}.yaml").exists():
        raise ConfigError(
            f"there is a {kind} {name!r} already",
            expected="a name that conf does not have: ours comes before yours",
            where=f"conf/{kind}/{name}.yaml",
            fix=f"for example my_{name}",
        )
    if importlib.util.find_spec(name) is not None:
        raise ConfigError(
            f"there is a Python package {name!r} already",
            expected="a name under which nothing can be imported yet",
            fix=f"for example my_{name}",
        )


def main(arguments: list[str] | None = None) -> None:
    """python -m algoperf_pt.new {submission,workload} NAME [--out DIR]; see --help."""
    parser = argparse.ArgumentParser("python -m algoperf_pt.new", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name", help="of the new package, as my_opt")
    parser.add_argument("--out", type=Path, default=Path(), help="where; by default here")
    options = parser.parse_args(arguments)
    find_own_modules()
    try:
        folder = new(options.kind, options.name, options.out)
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"  {path}")
    print(f"\n{(folder / 'README.md').read_text()}", end="")


if __name__ == "__main__":
    main()
