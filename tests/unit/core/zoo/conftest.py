"""A zoo of its own for each test: two installed presets, one of them with weights."""

from __future__ import annotations

import contextlib
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hvae_core.plugins.specs import ComponentSpec
from hvae_core.weights import write_tensors
from hvae_core.zoo import folders, write_preset

CONFIG = {
    "summary": "a small one",
    "model": {"resolutions": [8, 4, 1], "image_channels": 1, "width": 8},
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    "data": {"name": "digits"},
    "train": {"epochs": 1},
}


def small_weights(path: Path) -> None:
    write_tensors({"a.kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}, path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HVAE_OFFLINE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """The folder of the installed presets "trained" and "untrained"."""
    folder = tmp_path / "zoo"
    write_preset(
        folder / "trained",
        CONFIG,
        small_weights,
        figures={"bits_per_dim": {"value": 3.25, "how": "10 test images"}},
    )
    write_preset(folder / "untrained", CONFIG)
    spec = ComponentSpec(kind="preset", name="zoo", summary="", builder=lambda: folder)
    entry = types.SimpleNamespace(kind="preset", name="zoo", status="available")
    stand_in: Any = types.SimpleNamespace(
        entries=lambda kind: [entry],
        get=lambda kind, name: spec,
        guarding=lambda kind, name: contextlib.nullcontext(),
    )
    monkeypatch.setattr(folders, "manager", lambda: stand_in)
    return folder
