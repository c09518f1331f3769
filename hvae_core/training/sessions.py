"""What a run was computed on: a line of ``sessions.jsonl`` each time it is started or resumed."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.backends.devices import devices_in_use
from hvae_core.backends.processes import process_count
from hvae_core.files.digests import file_digest
from hvae_core.files.versions import hvae_version, package_version

#: what the numbers of an update depend on, beside the run's own options
_DECIDES = ("backend", "keras", "hvae", "device", "processes")


def describe_session(
    step: int, weights: Path | Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """The session that starts now.

    Args:
        step: updates made before it.
        weights: the file, or the arrays of a model, that a new run starts from.

    Returns:
        ``started`` (UTC), ``step``, ``device``, ``processes``, ``backend`` with its version, and
        the versions of ``keras``, ``hvae`` and ``python``, and the ``platform``; with weights to
        start from, ``weights`` and their ``weights_sha256``.
    """
    import keras

    backend = keras.config.backend()
    start = {}
    if isinstance(weights, Path) and not step:
        start = {"weights": str(weights), "weights_sha256": file_digest(weights)}
    elif weights is not None and not step:
        start = {"weights": "of a model in memory"}
    return {
        "event": "session",
        "started": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "step": step,
        "device": devices_in_use(),
        "processes": process_count(),
        "backend": f"{backend} {package_version(backend) or '?'}",
        "keras": keras.__version__,
        "hvae": hvae_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **start,
    }


def changed_since(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What a resumed run is computed on that it was not before, as a sentence.

    Args:
        before: the session before it, as `describe_session` gave it.
        now: the session that starts.

    Returns:
        None where nothing differs that decides numbers.
    """
    changes = [
        f"{key} {now[key]} (it was {str(before[key])[:80]!r})"
        for key in _DECIDES
        if key in before and key in now and before[key] != now[key]
    ]
    if not changes:
        return None
    return (
        f"The run goes on with {', '.join(changes)}: from here on its numbers are close to those "
        "of a run that was never stopped, not equal to them."
    )
