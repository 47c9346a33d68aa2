"""Fixture: the place where the harm is done."""

import pytest

from tests.faults.place import Place


@pytest.fixture(scope="session")
def place(all_data, tmp_path_factory):
    """Prepared data, folders, and the undisturbed trials, which are made once."""
    return Place(tmp_path_factory.mktemp("faults"), all_data)
