"""Which tests run on which backend, and fixtures that all tests share.

A test marked ``every_backend`` is run with each backend, by the environments of ``tox.ini``: what
is computed there (numbers, gradients, densities, compiled programs, weights, resumption, devices,
exports). All others say the same whatever the backend and are run once, with PyTorch, or where
``KERAS_BACKEND`` names none. So ``KERAS_BACKEND=jax pytest`` runs the marked ones alone.
``tests/meta/test_every_backend.py`` holds the marks against what the tests import.

TensorFlow takes seconds to trace a program that a test runs once or twice. There, programs run
operation by operation, but for the tests marked ``compiled``.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def runs_all() -> bool:
    """Whether what is run once is run here."""
    return os.environ.get("KERAS_BACKEND", "torch") == "torch" or "HVAE_TEST_ALL" in os.environ


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Do not read files of which no test would be left: that takes each worker ten seconds."""
    if runs_all() or collection_path.suffix != ".py":
        return None
    return True if "every_backend" not in collection_path.read_text(encoding="utf-8") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, with a backend other than PyTorch, what is run once; not if all is asked for."""
    if runs_all():
        return
    once = [item for item in items if not item.get_closest_marker("every_backend")]
    if once:
        config.hook.pytest_deselected(items=once)
        items[:] = [item for item in items if item.get_closest_marker("every_backend")]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Choose how TensorFlow runs programs, before the fixtures of the test are made."""
    if os.environ.get("KERAS_BACKEND") == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(item.get_closest_marker("compiled") is None)


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
