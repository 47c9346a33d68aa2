"""Does the source know the workloads?  Names, tables of shapes, exact sizes and tables of numbers.

Batch sizes by workload are asked for by name (get_batch_size, batch_size), so what stands there is
no finding.  No torch here.
"""

import ast
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

from algoperf_pt.check.findings import WARN, Finding
from algoperf_pt.check.scan import docstrings
from algoperf_pt.check.sources import Source

_SIZES = ("get_batch_size", "batch_size", "get_eval_batch_size")
# also without a variant's or twin's ending, and as part of a longer name
_FAMILIES = {
    *("criteo", "criteo1tb", "fastmri", "imagenet", "resnet", "vit", "librispeech", "conformer"),
    *("deepspeech", "ogbg", "wmt", "finewebedu", "cifar", "cifar10", "mnist", "digits"),
    *("imagenet_resnet", "imagenet_vit", "librispeech_conformer", "librispeech_deepspeech"),
}
_OF_SPEC = {"spec", "workload_spec"}
# facts of a workload that are met exactly by one workload alone
_FACTS = {
    *("step_hint", "max_runtime", "budget", "eval_period", "validation_target", "test_target"),
    *("num_train_examples", "num_validation_examples", "num_test_examples", "target_metric_name"),
    *("max_allowed_runtime_sec", "eval_period_time_sec", "validation_target_value", "metric"),
    *("test_target_value", "baseline_batch_size", "eval_batch_size", "num_examples"),
}
_SHAPES = {"shape", "numel", "size", "param_shapes", "nelement"}
_SMALL = 8  # sizes up to here are kernels, heads and the like, not those of a workload
_TABLE = 256  # numbers in one literal
_TEXT = 2000  # characters in one string
_FIX = "one rule for all workloads: use roles, dimensions and the step hint, not their values"


def known_names() -> set[str]:
    """Names of workloads and of their families."""
    folder = Path(str(files("conf")), "workload")
    return {path.stem for path in folder.glob("*.yaml")} | _FAMILIES


def scan_names(source: Source) -> list[Finding]:
    """Places where a workload may be recognised, or known numbers used."""
    found = [*_names(source), *_fingerprints(source), *_tables(source)]
    return sorted(set(found), key=lambda f: (f.where, f.check))


def _names(source: Source) -> Iterator[Finding]:
    known, skipped = known_names(), docstrings(source.tree) | _inside_sizes(source.tree)
    for node in ast.walk(source.tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.lower().strip(" _") in known:
                yield _warn("names", f"holds the workload's name {node.value!r}", source, node)
        elif isinstance(node, ast.Attribute):
            text = _name_of_workload(node)
            if text:
                yield _warn("names", f"reads {text}, the workload's name", source, node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "type" and node.args:
            if ast.unparse(node.args[0]).rpartition(".")[2] in ("workload", "model"):
                says = f"asks for {ast.unparse(node)}, which tells the workload"
                yield _warn("names", says, source, node)


def _name_of_workload(node: ast.Attribute) -> str:
    base = ast.unparse(node.value).rpartition(".")[2]
    if node.attr == "known_as" or (node.attr == "name" and base in _OF_SPEC):
        return ast.unparse(node)
    if node.attr in ("workload_name", "dataset_name"):
        return ast.unparse(node)
    classes = node.attr == "__class__" and base in ("workload", "model")
    return ast.unparse(node) if classes else ""


def _inside_sizes(tree: ast.AST) -> set[int]:
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in _SIZES]
    return {id(inner) for function in functions for inner in ast.walk(function)}


def _fingerprints(source: Source) -> Iterator[Finding]:
    tables = _tables_by_name(source.tree)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Compare):
            yield from _comparison(node, tables, source)
        elif isinstance(node, ast.Dict) and _keys_are_shapes(node):
            says = f"is a table by shapes or sizes with {len(node.keys)} entries"
            yield _warn("shapes", says, source, node)
        elif isinstance(node, ast.Call) and _hashes(node):
            says = f"hashes shapes or sizes: {ast.unparse(node)[:60]}"
            yield _warn("shapes", says, source, node)


def _comparison(node: ast.Compare, tables: set[str], source: Source) -> Iterator[Finding]:
    if not all(isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in node.ops):
        return
    sides = [node.left, *node.comparators]
    fixed = any(_numbers(side) for side in sides)
    fixed |= any(isinstance(side, ast.Name) and side.id in tables for side in sides)
    if fixed and any(_mentions(side, _SHAPES) or _counts(side) for side in sides):
        yield _warn("shapes", f"compares sizes: {ast.unparse(node)[:70]}", source, node)
    told = any(isinstance(s, ast.Constant) and isinstance(s.value, str) for s in sides)
    if (fixed or told) and any(_mentions(side, _FACTS) for side in sides):
        says = f"compares a fact of the workload: {ast.unparse(node)[:70]}"
        yield _warn("shapes", says, source, node)


def _numbers(node: ast.AST) -> bool:
    """Whether a literal holds a number that a workload may be known by."""
    if isinstance(node, ast.Constant):
        number = node.value
        return type(number) in (int, float) and abs(number) > _SMALL  # type: ignore[arg-type]
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return any(_numbers(part) for part in node.elts)
    if isinstance(node, ast.Dict):
        return any(key is not None and _numbers(key) for key in node.keys)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Size"):
        return any(_numbers(part) for part in node.args)
    return False


def _tables_by_name(tree: ast.AST) -> set[str]:
    """Names that are bound to literals of such numbers."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant):
            if _numbers(node.value):
                found |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    return found


def _mentions(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr in names for n in ast.walk(node))


def _counts(node: ast.AST) -> bool:
    """len(parameters) and the like."""
    text = ast.unparse(node)
    return isinstance(node, ast.Call) and text.startswith(("len(", "sum(")) and "param" in text


def _keys_are_shapes(node: ast.Dict) -> bool:
    keys = [key for key in node.keys if key is not None]
    shapes = [k for k in keys if isinstance(k, ast.Tuple) and k.elts and _numbers(k)]
    sizes = [k for k in keys if isinstance(k, ast.Constant) and _numbers(k)]
    return len(shapes) >= 1 or len(sizes) >= 2


def _hashes(node: ast.Call) -> bool:
    function = ast.unparse(node.func)
    named = function == "hash" or function.startswith(("hashlib.", "zlib.crc32"))
    return named and any(_mentions(argument, _SHAPES) for argument in node.args)


def _tables(source: Source) -> Iterator[Finding]:
    skipped = docstrings(source.tree)
    for node in _outermost(source.tree):
        count = sum(
            isinstance(n, ast.Constant) and type(n.value) in (int, float) for n in ast.walk(node)
        )
        if count > _TABLE:
            says = f"holds {count} numbers in one literal"
            yield _warn("lookups", says, source, node, "learned for all workloads alike, or not?")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            if len(node.value) > _TEXT and id(node) not in skipped:
                says = f"holds a text of {len(node.value)} characters"
                yield _warn("lookups", says, source, node, "numbers in disguise, or not?")


def _outermost(node: ast.AST) -> Iterable[ast.AST]:
    """Literals of containers that lie in no other."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.List, ast.Tuple, ast.Dict, ast.Set)):
            yield child
        else:
            yield from _outermost(child)


def _warn(check: str, says: str, source: Source, node: ast.AST, fix: str = _FIX) -> Finding:
    return Finding(check, WARN, says, source.where(node), fix)
