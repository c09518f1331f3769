"""What a run was computed on: a line of ``sessions.jsonl`` each time it is started or resumed."""

from __future__ import annotations

import platform
import time
from importlib import metadata
from typing import Any

from hvae_core.devices import devices_in_use
from hvae_core.processes import process_count


def describe_session(step: int) -> dict[str, Any]:
    """The session that starts now.

    Args:
        step: updates made before it.

    Returns:
        ``started`` (UTC), ``step``, ``device``, ``processes``, ``backend`` with its version, and
        the versions of ``keras``, ``hvae`` and ``python``, and the ``platform``.
    """
    import keras

    backend = keras.config.backend()
    return {
        "event": "session",
        "started": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "step": step,
        "device": devices_in_use(),
        "processes": process_count(),
        "backend": f"{backend} {_version(backend)}",
        "keras": keras.__version__,
        "hvae": _version("hvae"),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "?"
