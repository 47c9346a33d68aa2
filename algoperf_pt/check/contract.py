"""Does the source keep to the interface?  Methods with its arguments, names that are nearly its
own, and hyperparameters that nothing mentions.  No torch here.
"""

import ast
import difflib
from collections.abc import Iterable, Sequence

from algoperf_pt.check.findings import FAIL, WARN, Finding
from algoperf_pt.check.sources import Source

# Method -> number of arguments beside `self`.
METHODS = {
    "batch_size": 1,
    "setup": 2,
    "select": 1,
    "step": 2,
    "prepare_for_eval": 1,
    "resume_training": 1,
    "state_dict": 0,
    "load_state_dict": 1,
    "rank_state_dict": 0,
    "load_rank_state_dict": 1,
}
FUNCTIONS = {
    "get_batch_size": 1,
    "init_optimizer_state": 5,
    "data_selection": 8,
    "update_params": None,  # by keywords; those that its signature lacks are left out
    "prepare_for_eval": None,
}
_OPTIONAL = {"prepare_for_eval"}
_NEAR = 0.75  # similarity of names from which a slip is likely


def check_contract(sources: Sequence[Source], reference: bool) -> list[Finding]:
    """What is against the interface in classes of submissions, or in a submission.py."""
    if reference:
        return _functions(sources[0])
    every = [(n, s) for s in sources for n in ast.walk(s.tree) if isinstance(n, ast.ClassDef)]
    known = {node.name: node for node, _ in every}
    own = [(node, source) for node, source in every if _is_submission(node, known)]
    return [finding for node, source in own for finding in _methods(node, source)]


def unmentioned(names: Iterable[str], sources: Sequence[Source]) -> list[str]:
    """Hyperparameters that stand nowhere in the source, as an attribute or in quotes."""
    words: set[str] = set()
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute):
                words.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
            elif isinstance(node, ast.keyword) and node.arg is None:
                return []  # **hyperparameters._asdict(): all of them go somewhere
    return [name for name in names if name not in words]


def _is_submission(node: ast.ClassDef, known: dict[str, ast.ClassDef]) -> bool:
    waiting, seen = [node], set[str]()
    while waiting:
        for base in waiting.pop().bases:
            name = ast.unparse(base).rpartition(".")[2]
            if name.endswith("Submission"):
                return True
            if name in known and name not in seen:
                seen.add(name)
                waiting.append(known[name])
    return False


def _methods(node: ast.ClassDef, source: Source) -> list[Finding]:
    found = []
    for method in node.body:
        if not isinstance(method, ast.FunctionDef):
            continue
        if method.name in METHODS:
            if _decorated(method):
                continue
            found += _arguments(method, METHODS[method.name] + 1, source)
        elif not method.name.startswith("_"):
            near = difflib.get_close_matches(method.name, METHODS, n=1, cutoff=_NEAR)
            if near and not _is_called(method.name, source):
                text = f"{node.name}.{method.name} is never called; the method is {near[0]!r}"
                where = source.where(method)
                found.append(Finding("contract", WARN, text, where, f"call it {near[0]}"))
    return found


def _functions(source: Source) -> list[Finding]:
    functions = {n.name: n for n in source.tree.body if isinstance(n, ast.FunctionDef)}
    imported = {
        alias.asname or alias.name
        for n in source.tree.body
        if isinstance(n, ast.ImportFrom)
        for alias in n.names
    }
    found = []
    for name, count in FUNCTIONS.items():
        if name in functions and count is not None:
            found += _arguments(functions[name], count, source)
        elif name not in functions and name not in imported | _OPTIONAL:
            text, where = f"there is no function {name}", source.where(source.tree)
            found.append(Finding("contract", FAIL, text, where, f"define {name}"))
    return found


def _arguments(method: ast.FunctionDef, count: int, source: Source) -> list[Finding]:
    """By how many it can be called."""
    given = method.args
    places = [*given.posonlyargs, *given.args]
    most = count if given.vararg else len(places)
    least = len(places) - len(given.defaults)
    wanted = [a for a, d in zip(given.kwonlyargs, given.kw_defaults) if d is None]
    if least <= count <= most and not wanted:
        return []
    text = f"{method.name} takes {len(places)} arguments and is called with {count}"
    fix = "the arguments that docs/bring_your_own.md lists"
    return [Finding("contract", FAIL, text, source.where(method), fix)]


def _decorated(method: ast.FunctionDef) -> bool:
    words = [ast.unparse(decorator) for decorator in method.decorator_list]
    return any("static" in word or "property" in word for word in words)


def _is_called(name: str, source: Source) -> bool:
    attributes = (n.attr for n in ast.walk(source.tree) if isinstance(n, ast.Attribute))
    return name in set(attributes)
