"""Fixtures: prepared data, made once a session from raw files that packages ship or that
tiny.py writes."""

import os
import signal

import pytest
import torch

from algoperf_pt.data.prepare import find_preparer, prepare
from tests.support.workloads import TRAINABLE, node, write_raw

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def heeds_ctrl_c():
    """Jobs in the background of a shell ignore it, and so would what tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors: more threads only wait for one another."""
    torch.set_num_threads(1)


class Data:
    """Folder of prepared datasets, each made when it is first asked for."""

    def __init__(self, root):
        self.root = root

    def prepared(self, name):
        out = self.root / node(name).data["dataset"]  # some workloads share one
        if not out.exists():
            preparer = find_preparer(name)
            raw = preparer.raw_folder() or write_raw(name, self.root / f"raw_{name}")
            prepare(preparer, raw, out, quiet=True)
        return self.root


@pytest.fixture(scope="session")
def all_data(tmp_path_factory):
    """`all_data.prepared(name)`: the folder for data.dir, with that dataset in it."""
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def data(all_data):
    """Folder with the prepared digits."""
    return all_data.prepared("digits")


@pytest.fixture(params=TRAINABLE)
def trainable(request, all_data):
    """(name, data folder) of each workload whose data can be had here."""
    return request.param, all_data.prepared(request.param)
