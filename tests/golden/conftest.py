"""Goldens come from the reference data where it is, else from the cuts that lie with the tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def fixtures_folder() -> Path:
    """The cuts; with a backend other than PyTorch only where the reference data is not."""
    shared = Path(os.environ.get("HVAE_SHARED", ROOT.parent / "shared"))
    if (shared / "goldens").is_dir() and os.environ.get("KERAS_BACKEND", "torch") != "torch":
        pytest.skip("the reference data shows the same and more")
    return ROOT / "tests" / "fixtures"
