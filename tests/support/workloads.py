"""Which workloads are there?  Read from conf/workload: a new file there is tested from its
first day."""

import importlib
from pathlib import Path

from omegaconf import OmegaConf

from scripts.choices import read_node, tiny_workloads

FOLDER = Path(__file__).parents[2] / "conf" / "workload"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def node(name):
    """The workload's YAML with the ones that it builds on, unresolved groups left alone."""
    return read_node(FOLDER, name)


def version_of(name):
    """The version whose targets the tests take: the default one, if it has the workload."""
    for version in ("v06", "v10", "v05"):
        loaded = OmegaConf.load(FOLDER.parent / "targets" / f"{version}.yaml")
        parents = [d for d in loaded.pop("defaults", []) if d != "_self_"]
        every = [OmegaConf.load(FOLDER.parent / "targets" / f"{p}.yaml") for p in parents]
        if any(name in part.workloads for part in (loaded, *every)):
            return version
    raise KeyError(name)


TIERS = {name: node(name).get("tier", "full") for name in NAMES}
TRAINABLE = tiny_workloads()


def write_raw(name, folder):
    """Raw files of a tiny workload in their real format."""
    package = node(name).prepare["_target_"].split(".prepare")[0]
    importlib.import_module(f"{package}.tiny").write_raw(folder)
    return folder
