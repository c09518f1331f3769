"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What no backend takes part in is run with one of them, PyTorch, or where none is named."""
    if os.environ.get("KERAS_BACKEND", "torch") == "torch":
        return
    for item in items:
        if item.get_closest_marker("one_backend"):
            item.add_marker(pytest.mark.skip(reason="the same on every backend; run with torch"))


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The reference data beside a developer's checkout; the test is skipped without it."""
    folder = Path(os.environ.get("HVAE_SHARED", ROOT.parent / "shared"))
    if not (folder / "goldens").is_dir():
        pytest.skip("the reference data is not here (HVAE_SHARED names its folder)")
    return folder


@pytest.fixture(scope="session")
def fixtures_folder() -> Path:
    """The small real files that come with the tests."""
    return ROOT / "tests" / "fixtures"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("HVAE_HOME", str(tmp_path_factory.getbasetemp() / "hvae-home"))
