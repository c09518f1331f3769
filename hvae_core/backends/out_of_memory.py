"""Whether an error of a backend says that memory is too small; each backend has its own."""

from __future__ import annotations

import re

#: said by PyTorch and OpenVINO, which raise a RuntimeError, and by XLA and TensorFlow
_SAID = re.compile(
    r"out of memory|not enough memory|can.t allocate memory|cannot allocate memory"
    r"|failed to allocate|bad_alloc|OOM when allocating|RESOURCE_EXHAUSTED",
    re.IGNORECASE,
)
#: how much was asked for
_ASKED = re.compile(r"allocat\w*\s+(\d[\d.]*\s*(?:[kKMGTPE]i?B|bytes))")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory, of the processor or of a device.

    Keras raises errors of its own about OpenVINO's, so that what an error comes from counts too.
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, RuntimeError) or type(error).__name__ == "ResourceExhaustedError":
        came_from = error.__cause__ or error.__context__
        return _SAID.search(str(error)) is not None or (
            came_from is not None and is_out_of_memory(came_from)
        )
    return False


def what_was_asked(error: BaseException) -> str:
    """How much memory was asked for, in the error's own words; empty where it does not say."""
    if isinstance(error, MemoryError):
        return str(error)
    asked = _ASKED.search(str(error))
    return f"{asked[1]} were asked for" if asked else ""
