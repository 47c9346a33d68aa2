"""What is a generated variant as a file?  One YAML of the group `workload` that a trial runs as it
is: its base, what is changed, and its base's line of conf/targets without the targets.

Nobody knows a new variant's targets before target setting: it has those that no metric reaches, so
a trial of it uses its whole budget.  A file of conf/targets that has the variant's line comes after
it and gives it its own.  No torch here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import algoperf_pt
from algoperf_pt.errors import ConfigError
from algoperf_pt.heldout.axes import Axis, parse_axes
from algoperf_pt.heldout.files import names_of, read_ours, read_yaml
from algoperf_pt.heldout.generate import generate, settings, variant_name
from algoperf_pt.versions import compose_somehow

_INHERITED = ("metric", "direction", "strict", "max_runtime", "eval_period", "step_hint")


@dataclass(frozen=True)
class Base:
    """A workload of which variants can be made.

    Args:
        name: of the workload.
        node: its node of the configuration, as plain containers.
        target: its line of conf/targets.
        axes: along which it may change.
        where: file of the axes.
    """

    name: str
    node: Mapping[str, Any]
    target: Mapping[str, Any]
    axes: Sequence[Axis]
    where: str


@dataclass(frozen=True)
class Variant:
    """A generated workload: `values` by axis, and the text of its file."""

    name: str
    values: Mapping[str, Any]
    text: str

    def write(self, folder: Path) -> Path:
        """`folder`/workload/<name>.yaml; `folder` is one for --config-dir."""
        path = folder / "workload" / f"{self.name}.yaml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}", where="--out") from error
        return path


def load_base(name: str, axes_file: Path | None = None, config_dir: str | None = None) -> Base:
    """The workload with its axes.

    Args:
        name: of the workload.
        axes_file: of the user's; None: conf/axes/<name>.yaml, for a tiny twin that of its base.
        config_dir: the user's own folder of configuration groups.

    Raises:
        ConfigError: no such workload, a variant of another one, no axes, impossible axes.
    """
    config, _ = compose_somehow([f"workload={name}"], config_dir)
    node, base = config["workload"], config["workload"]["base"]
    if base is not None and node["tier"] in ("full", "proxy"):
        raise ConfigError(
            f"{name} is itself made from {base}",
            expected="a workload that is none",
            fix=f"python -m algoperf_pt.heldout generate {base} ...",
        )
    declared, where = _declared(name, base, axes_file)
    axes = parse_axes(declared, node, where)
    return Base(name, node, config["targets"]["workloads"][name], axes, where)


def make_variant(base: Base, seed: int, count: int = 2) -> Variant:
    """The variant of a seed, with `count` axes changed."""
    values = generate(base.axes, seed, count)
    changed = settings(base.axes, values, seed, base.node["num_examples"]["train"])
    name = variant_name(base.name, changed)
    told = ", ".join(f"{axis}={_yaml(value)}" for axis, value in values.items())
    lines = [
        "# @package _global_",  # Hydra looks for it in the first line
        f"# {base.name} with {told} (seed {seed}, {count} of {len(base.axes)} axes).",
        f"# By algoperf_pt.heldout {algoperf_pt.__version__} from {base.where}.",
        f"defaults: [{base.name}@workload, _self_]",
        "workload:",
        *_lines({"name": name, "base": base.name, **changed}, "  "),
        "targets:",
        "  workloads:",
        f"    {name}:",
        *_target_lines(base, "      "),
    ]
    return Variant(name, values, "\n".join(lines) + "\n")


def _declared(name: str, base: str | None, axes_file: Path | None) -> tuple[Any, str]:
    if axes_file is not None:
        return read_yaml(axes_file), str(axes_file)
    for candidate in filter(None, (name, base)):
        declared = read_ours("axes", candidate)
        if declared is not None:
            return declared, f"conf/axes/{candidate}.yaml"
    raise ConfigError(
        f"no axes are declared for {name}",
        expected=f"a workload among {', '.join(names_of('axes'))}, or its tiny twin",
        where="conf/axes",
        fix="--axes-file FILE, in the form of conf/axes/wmt.yaml",
    )


def _target_lines(base: Base, indent: str) -> list[str]:
    nobody = math.inf if base.target["direction"] == "max" else -math.inf
    test = None if base.target["test_target"] is None else nobody
    line = f"targets.workloads.{base.name}"
    return [
        f"{indent}validation_target: {_yaml(nobody)}   # not set yet: nobody reaches it; target "
        "setting finds it",
        f"{indent}test_target: {_yaml(test)}",
        *(f"{indent}{key}: ${{{line}.{key}}}" for key in _INHERITED),
    ]


def _lines(node: Mapping[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key, value in node.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {_yaml(value)}")
    return lines


def _yaml(value: Any) -> str:
    """A leaf as YAML 1.1 reads it back with the same type."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_yaml, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        if math.isinf(value):
            return ".inf" if value > 0 else "-.inf"
        text = repr(value)
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    return str(value)
