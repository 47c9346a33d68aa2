"""What does a text log of a run say?  For looking at runs without csv; scores never need it.

A line with `--- Tuning run 2/5 ---` starts trial 2; before the first one the trial is 0.  A line
with `Metrics: {...}` has a Python literal with `eval_results`, pairs of a step and a dict of
metrics.  It is parsed, never run; arrays of a framework, `nan` and `inf` are understood as the
numbers they are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scoring.errors import LogsError
from scoring.logs.open_file import read_file

MOST_BYTES = 64 << 20  # of a log
MOST_LETTERS = 4 << 20  # of a line: a run with 1,000 evaluations writes about 0.5 MB
_RUN = re.compile(r"--- Tuning run (\d{1,9})/\d{1,9} ---", re.ASCII)
_METRICS = "Metrics: {"
_ARRAYS = frozenset({"array", "Array", "DeviceArray", "float", "float32", "float64", "tensor"})
_CONSTANTS = {"nan": float("nan"), "inf": float("inf")}

Metrics = dict[str, list[float]]


def read_text_log(path: Path) -> dict[int, Metrics]:
    """trial -> metric -> values, one for each evaluation; `global_step` is one of the metrics.

    A metric that an evaluation lacks is nan there.

    Raises:
        LogsError: unreadable, without a line of metrics, or one that is no such literal.
    """
    content = read_file(path, MOST_BYTES)
    if content is None:
        raise LogsError(f"{path} is not there")
    found: dict[int, list[dict[str, float]]] = {}
    trial = 0
    for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), 1):
        started = _RUN.search(line)
        trial = int(started[1]) if started else trial
        begin = line.find(_METRICS)
        if begin >= 0:
            text = line[begin + len(_METRICS) - 1 :]
            found.setdefault(trial, []).extend(_evaluations(text, f"{path}:{number}"))
    if not found:
        raise LogsError(f"{path} has no line with '{_METRICS}...}}'; it is no log of a run")
    return {trial: _columns(rows) for trial, rows in found.items()}


def _columns(rows: list[dict[str, float]]) -> Metrics:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, float("nan")) for row in rows] for name in names}


def _evaluations(text: str, where: str) -> Iterator[dict[str, float]]:
    if len(text) > MOST_LETTERS:
        raise LogsError(f"{where}: a line of {len(text):,} letters; at most {MOST_LETTERS:,}")
    try:
        told = _value(ast.parse(text.strip(), mode="eval").body)
        pairs = told["eval_results"]
        rows = [(int(step), dict(metrics)) for step, metrics in pairs]
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise LogsError(f"{where}: no dict with eval_results: {str(error)[:200]}") from error
    for step, metrics in rows:
        numbers = {str(k): float(v) for k, v in metrics.items() if isinstance(v, int | float)}
        yield {**numbers, "global_step": float(step)}


def _value(node: ast.expr) -> Any:
    """The value of a literal; of an array its only number."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = zip(keys, values, strict=True)
            return {_value(k): _value(v) for k, v in pairs if k is not None}
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part) for part in parts]
        case ast.Call(func=called, args=[first, *_]) if _name(called) in _ARRAYS:
            return _value(first)
    raise ValueError(f"{ast.unparse(node)[:80]!r} is no literal")


def _name(node: ast.expr) -> str:
    """`DeviceArray`, also of `jnp.DeviceArray`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
