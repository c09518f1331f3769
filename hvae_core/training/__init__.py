"""Training: one path on JAX, TensorFlow and PyTorch."""

from typing import Any

__all__ = ["TrainResult", "train"]


def __getattr__(name: str) -> Any:
    """Fetch a public name on first use: run folders are found without Keras."""
    if name in __all__:
        from hvae_core.training import loop

        return getattr(loop, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
