"""Submissions are trials' own: what one loads must not be seen by the next test."""

import pytest

from algoperf_pt.reference.loading import unload


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    unload()
