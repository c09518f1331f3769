"""Choosing the Keras backend before Keras is imported."""

from __future__ import annotations

import importlib.util
import os
import sys

from hvae_core.errors import BackendError, did_you_mean

#: in order of preference
BACKENDS = ("jax", "torch", "tensorflow", "openvino")
#: what shows that a machine has one that another backend may use: NVIDIA's, AMD's, a TPU
ACCELERATORS = ("/dev/nvidia0", "/dev/kfd", "/dev/accel0", "/dev/vfio/0")
#: turns of a loop in which a thread of PyTorch's waits awake for the others; GNU OpenMP's own
#: 300,000 keep a core from a thread that has none, where other programs run too
TURNS_AWAKE = 10_000


def installed_backends() -> list[str]:
    """The backends whose package is installed, preferred first; imports none of them."""
    return [name for name in BACKENDS if importlib.util.find_spec(name) is not None]


def active_backend() -> str | None:
    """The backend Keras runs on in this process, None where it is not imported yet."""
    keras = sys.modules.get("keras")
    return keras.config.backend() if keras is not None else None


def select_backend(name: str | None = None) -> str:
    """Fix the backend of this process: ``name``, else ``KERAS_BACKEND``, else the first installed.

    Where Keras is imported already and neither is given, its backend stays. PyTorch's threads on a
    processor wait for each other as ``GOMP_SPINCOUNT`` or ``OMP_WAIT_POLICY`` say; where neither is
    set, briefly, which other programs on its cores slow down far less.

    Raises:
        BackendError: it is unknown or not installed, none is, or Keras already runs on another.
    """
    active = active_backend()
    wanted = name or os.environ.get("KERAS_BACKEND") or active
    installed = installed_backends()
    if wanted is None:
        if not installed:
            raise BackendError(
                "No backend is installed.", "Install one with: pip install 'hvae[jax]'"
            )
        wanted = installed[0]
    if wanted not in BACKENDS:
        raise BackendError(f"Unknown backend {wanted!r}.", did_you_mean(wanted, BACKENDS))
    if wanted not in installed:
        raise BackendError(
            f"The backend {wanted!r} is not installed.",
            f"Install it with: pip install 'hvae[{wanted}]'",
        )
    if active not in (None, wanted):
        raise BackendError(
            f"Keras already runs on {active!r} in this process, not on {wanted!r}.",
            f"Choose the backend before Keras is imported: KERAS_BACKEND={wanted}",
        )
    os.environ["KERAS_BACKEND"] = wanted
    if wanted == "torch" and "OMP_WAIT_POLICY" not in os.environ:
        # read when PyTorch is imported; without effect on another OpenMP than GNU's
        os.environ.setdefault("GOMP_SPINCOUNT", str(TURNS_AWAKE))
    return wanted


def quickest_to_evaluate() -> str | None:
    """OpenVINO, where no backend has been chosen, it is installed and there is no accelerator.

    On a processor it computes the same bounds in about half the time, see docs/benchmarks.md.
    """
    chosen = os.environ.get("KERAS_BACKEND") or active_backend()
    if chosen or "openvino" not in installed_backends() or any(map(os.path.exists, ACCELERATORS)):
        return None
    return "openvino"


def select_training_backend(name: str | None = None) -> str:
    """As `select_backend`, for a backend that has gradients.

    Raises:
        BackendError: also where it is OpenVINO.
    """
    chosen = name or os.environ.get("KERAS_BACKEND") or active_backend()
    if chosen is None:
        chosen = next((b for b in installed_backends() if b != "openvino"), "openvino")
    if chosen == "openvino":
        raise BackendError(
            "The backend 'openvino' runs models but cannot train them: it has no gradients.",
            "Install one that can with: pip install 'hvae[jax]', and choose it: --backend jax",
        )
    return select_backend(chosen)
