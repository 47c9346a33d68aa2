"""Fixtures: prepared data, made once a session from the raw files that packages ship or tiny.py writes."""

import os

import pytest
import torch

from algoperf_pt.data.prepare import find_preparer, prepare

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors: more threads only wait for one another."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Folder with the prepared digits."""
    folder = tmp_path_factory.mktemp("data")
    preparer = find_preparer("digits")
    prepare(preparer, preparer.raw_folder(), folder / "digits", quiet=True)
    return folder
