"""What does the source say?  Places that a person must judge, found without running anything.

Nothing here is proof: a finding is a warning with file and line.  No torch here.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from algoperf_pt.check.findings import WARN, Finding
from algoperf_pt.check.sources import HARNESS, Source

# What a submission may import of ours; the rest is machinery around it.
API = {
    *("submission", "optimizer_submission", "updates", "view", "hparams", "spec", "instantiate"),
    *("roles", "errors", "workload", "workload_data", "seeds"),
}


@dataclass(frozen=True)
class Rule:
    """Calls or assignments by the dotted name that they concern.

    Args:
        check: of the finding.
        names: dotted, as after `import X`; one that ends in . or _ stands for
            all that begins so.
        says: the evidence, in which {} is the name.
        fix: what to do.
    """

    check: str
    names: tuple[str, ...]
    says: str
    fix: str

    def fits(self, name: str) -> bool:
        """Whether it concerns a dotted name."""
        return any(name == n or (n[-1] in "._" and name.startswith(n)) for n in self.names)


_SEED = (
    *("torch.manual_seed", "torch.seed", "torch.set_rng_state", "torch.cuda.manual_seed"),
    *("torch.cuda.manual_seed_all", "torch.cuda.set_rng_state", "torch.random.manual_seed"),
    *("torch.random.seed", "torch.random.set_rng_state", "random.seed", "random.setstate"),
    *("numpy.random.seed", "numpy.random.set_state", "lightning.seed_everything"),
)
_FLAGS = (
    *("torch.set_default_dtype", "torch.set_default_device", "torch.set_default_tensor_type"),
    *("torch.set_float32_matmul_precision", "torch.set_num_threads", "torch._C._set_"),
    *("torch.set_num_interop_threads", "torch.use_deterministic_algorithms"),
    *("torch.autograd.set_detect_anomaly", "torch.set_autocast_enabled"),
    "torch.set_flush_denormal",
)
_HOOKS = (
    *("torch.nn.modules.module.register_module_", "signal.", "sys.settrace", "sys.setprofile"),
    *("threading.settrace", "threading.setprofile", "sys.addaudithook", "gc.disable"),
)
_READS = (
    *("torch.load", "torch.hub.", "numpy.load", "numpy.loadtxt", "numpy.fromfile", "open"),
    *("numpy.memmap", "numpy.genfromtxt", "pickle.load", "pickle.loads", "json.load"),
    *("safetensors.torch.load_file", "io.open", "os.open", "mmap.mmap", "zipfile.ZipFile"),
    *("tarfile.open", "pandas.", "h5py.File", "joblib.load", "importlib.resources."),
)
_NET = ("urllib.", "requests.", "http.", "socket.", "huggingface_hub.", "ftplib.")
_WORK = (
    *("threading.Thread", "threading.Timer", "_thread.", "concurrent.futures.", "subprocess."),
    *("multiprocessing.", "torch.multiprocessing.", "os.fork", "os.system", "asyncio."),
)
_LOOKS = (
    *("gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys._getframe"),
    *("inspect.stack", "inspect.currentframe", "ctypes.", "cffi."),
)

CALLS = (
    Rule("randomness", _SEED, "{}() resets a generator of the harness", "own torch.Generator"),
    Rule("environment", _FLAGS, "{}() sets a global flag", "leave it as the harness has it"),
    Rule("environment", _HOOKS, "{}() hooks into the whole process", "leave it out"),
    Rule("environment", ("os.putenv", "os.unsetenv"), "{}() changes the environment", "leave it"),
    Rule("lookups", _READS, "{}() reads a file", "numbers for all workloads alike in the source"),
    Rule("lookups", _NET, "{}() speaks to the network", "leave it out"),
    Rule("pause", _WORK, "{}() starts work of its own", "stop it in prepare_for_eval"),
    Rule("private", _LOOKS, "{}() can reach what the harness keeps", "use the view alone"),
)
_ENVIRON = ("os.environ.update", "os.environ.setdefault", "os.environ.pop", "os.environ.clear")
_PRIVATE = ("_WorkloadView__", "_TimeView__")
_FRAMES = {"f_back", "f_locals", "f_globals", "cell_contents", "__closure__", "__subclasses__"}
_METHODS = {"read_text", "read_bytes"}  # of a Path, whatever its name is


def scan_calls(source: Source) -> list[Finding]:
    """Calls, assignments and imports that touch what is not the submission's."""
    names = Names(source.tree)
    found: list[Finding] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            found += _call(node, names, source)
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
            found += _assignment(node, names, source)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found += _import(node, source)
        else:
            found += _private(node, source)
    return found


class Names:
    """Which module does a name of the file stand for?"""

    def __init__(self, tree: ast.AST) -> None:
        self._known: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    self._known[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self._known[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def dotted(self, node: ast.AST) -> str:
        """The full name of what a node refers to; "" for what hangs on no import or builtin."""
        if isinstance(node, ast.Name):
            return self._known.get(node.id, "open" if node.id == "open" else "")
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""


def _call(node: ast.Call, names: Names, source: Source) -> Iterator[Finding]:
    name = names.dotted(node.func)
    for rule in CALLS:
        if name and rule.fits(name):
            yield _warn(rule.check, rule.says.format(name), rule.fix, source, node)
    if name in _ENVIRON:
        yield _warn("environment", f"{name}() changes the environment", "leave it", source, node)
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS and not name:
        yield _warn("lookups", f".{node.func.attr}() reads a file", "leave it out", source, node)
    setter = isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr")
    if (setter or name.startswith("unittest.mock.patch")) and node.args:
        target = names.dotted(node.args[0])
        if target or not setter:
            yield _replaced(target or "something", source, node)


def _assignment(node: ast.AST, names: Names, source: Source) -> Iterator[Finding]:
    listed = getattr(node, "targets", None) or [getattr(node, "target", None)]
    for target in listed:
        inner = target.value if isinstance(target, ast.Subscript) else target
        name = names.dotted(inner) if isinstance(inner, ast.Attribute) else ""
        if name == "os.environ":
            text = "assigns to os.environ"
            yield _warn("environment", text, "leave the environment as it is", source, node)
        elif name:
            yield _replaced(name, source, node)
        if isinstance(inner, ast.Attribute) and inner.attr in ("__code__", "__class__"):
            yield _warn("private", f"assigns to {inner.attr}", "leave it out", source, node)


def _replaced(name: str, source: Source, node: ast.AST) -> Finding:
    top = name.partition(".")[0]
    flags = name.startswith(("torch.backends.", "torch._dynamo.", "torch._inductor."))
    check = "clock" if top == "time" else "environment" if flags else "functions"
    return _warn(check, f"assigns to {name}, which is not its own", "leave it", source, node)


def _import(node: ast.Import | ast.ImportFrom, source: Source) -> Iterator[Finding]:
    if isinstance(node, ast.ImportFrom):
        modules = [] if node.level or not node.module else [node.module]
        if node.module == "algoperf_pt":
            modules = [f"algoperf_pt.{alias.name}" for alias in node.names]
    else:
        modules = [alias.name for alias in node.names]
    for module in modules:
        top, _, rest = module.partition(".")
        if top in HARNESS and not (top == "algoperf_pt" and rest.partition(".")[0] in API):
            text = f"imports {module}, a part of the harness that is no interface"
            yield _warn("private", text, f"algoperf_pt.{{{', '.join(sorted(API))}}}", source, node)


def _private(node: ast.AST, source: Source) -> Iterator[Finding]:
    text = node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", "")
    if not isinstance(text, str):
        return
    if text.startswith(_PRIVATE) or (isinstance(node, ast.Attribute) and text in _FRAMES):
        says = f"uses {text}, behind which the harness keeps its own"
        yield _warn("private", says, "use the view's public methods", source, node)


def _warn(check: str, evidence: str, fix: str, source: Source, node: ast.AST) -> Finding:
    return Finding(check, WARN, evidence, source.where(node), fix)


def docstrings(tree: ast.AST) -> set[int]:
    """Ids of the constants that are docstrings."""
    found = set()
    for node in ast.walk(tree):
        body: Sequence[ast.stmt] = getattr(node, "body", ())
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            found.add(id(body[0].value))
    return found
