"""Fixtures: the toy dataset, raw and prepared."""

import pytest

from algoperf_pt.data.prepare import prepare
from tests.support.toy import Toy


@pytest.fixture
def raw(tmp_path):
    """Folder of the raw files."""
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "raw.txt").write_text("hello")
    return folder


@pytest.fixture
def toy(tmp_path, raw):
    """Folder of the prepared dataset."""
    out = tmp_path / "out"
    prepare(Toy(), raw, out, quiet=True)
    return out
