"""Which names of conf can be run as they are?"""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONF = Path(__file__).resolve().parents[1] / "conf"


def ready_submissions() -> list[str]:
    """Those that need nothing more: neither a rule, nor a point, nor a file."""
    paths = sorted((CONF / "submission").glob("*.yaml"))
    return [p.stem for p in paths if "???" not in p.read_text() and p.stem != "algoperf"]


def scored_workloads() -> list[str]:
    """Those of full size that are no variants."""
    nodes = _workloads()
    full = {name for name, node in nodes.items() if node.get("tier", "full") == "full"}
    return [name for name in nodes if name in full and nodes[name].get("base") is None]


def tiny_workloads() -> list[str]:
    """Those that write their own raw files, and digits, which come with a package."""
    nodes = _workloads()
    return [n for n, node in nodes.items() if node.get("tier") == "tiny" or n == "digits"]


def command(workload: str, submission: str) -> list[str]:
    """Overrides of a trial at the submission's default point, with the rule set that it is for."""
    path = CONF / "submission" / f"{submission}.yaml"
    node = read_node(path.parent, submission) if path.exists() else {}
    rules = ["ruleset=self_tuning"] if node.get("tuning") == "self" else []
    drawn = node.get("space") and not node.get("points")  # and not the default point
    point = ["submission.space=null"] if drawn else []
    return [f"workload={workload}", f"submission={submission}", *point, *rules]


def _workloads() -> dict[str, Any]:
    folder = CONF / "workload"
    return {path.stem: read_node(folder, path.stem) for path in sorted(folder.glob("*.yaml"))}


def read_node(folder: Path, name: str) -> Any:
    """A YAML of a configuration group with the ones of the same group that it builds on, not
    resolved.
    """
    loaded: Any = OmegaConf.load(folder / f"{name}.yaml")
    listed = [d for d in loaded.pop("defaults", []) if isinstance(d, str) and d != "_self_"]
    parents = [d.removeprefix(f"/{folder.name}/").removesuffix("@_here_") for d in listed]
    return OmegaConf.merge(*(read_node(folder, parent) for parent in parents), loaded)
