import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from hvae_core.backends import selection


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with JAX and OpenVINO, no accelerator, and nothing chosen."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(selection, "active_backend", lambda: None)
    monkeypatch.setattr(selection, "installed_backends", lambda: ["jax", "openvino"])
    monkeypatch.setattr(selection, "ACCELERATORS", (str(tmp_path / "gpu"),))
    return monkeypatch


def test_openvino_evaluates_where_nothing_else_is_chosen(machine):
    assert selection.quickest_to_evaluate() == "openvino"


def test_what_is_chosen_stays(machine):
    machine.setenv("KERAS_BACKEND", "jax")
    assert selection.quickest_to_evaluate() is None
    machine.delenv("KERAS_BACKEND")
    machine.setattr(selection, "active_backend", lambda: "jax")
    assert selection.quickest_to_evaluate() is None


def test_it_must_be_installed_and_an_accelerator_is_quicker(machine, tmp_path):
    machine.setattr(selection, "installed_backends", lambda: ["jax"])
    assert selection.quickest_to_evaluate() is None
    machine.setattr(selection, "installed_backends", lambda: ["jax", "openvino"])
    (tmp_path / "gpu").touch()
    assert selection.quickest_to_evaluate() is None


@pytest.mark.skipif(
    not find_spec("torch") or sys.platform != "linux", reason="GNU OpenMP comes with PyTorch"
)
@pytest.mark.parametrize(
    ("given", "turns"),
    [
        ({}, selection.TURNS_AWAKE),
        ({"GOMP_SPINCOUNT": "7"}, 7),
        ({"OMP_WAIT_POLICY": "passive"}, 0),
    ],
)
def test_pytorch_s_threads_wait_briefly_if_nothing_else_is_said(given, turns):
    own = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    done = subprocess.run(
        [sys.executable, "-c", "import hvae; hvae.HierarchicalVAE"],
        env={**environment, "KERAS_BACKEND": "torch", "OMP_DISPLAY_ENV": "verbose", **given},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"GOMP_SPINCOUNT = '{turns}'" in done.stderr
