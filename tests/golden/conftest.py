"""Goldens come from the reference data where it is, else from the cuts that lie with the tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repeated_fixtures(request, fixtures_folder) -> Path:
    """Cuts of what the reference data has whole; on PyTorch, or where that data is not."""
    if os.environ.get("KERAS_BACKEND", "torch") != "torch":
        try:
            request.getfixturevalue("shared_folder")
        except pytest.skip.Exception:
            return fixtures_folder
        pytest.skip("the reference data shows the same and more")
    return fixtures_folder
