"""How PyTorch's memory on a CPU is taken from the system."""

from __future__ import annotations

import ctypes
import functools
import platform
import sys

#: parameters of mallopt, see mallopt(3)
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
#: the largest that glibc takes
MOST_KEPT, LARGEST_KEPT = 2**31 - 1, 2**25


@functools.cache
def keep_freed_memory() -> bool:
    """Let the process keep what it frees, for the next tensor.

    glibc gives a large array back to the system when it is freed, and so each update of a training
    has every page of its large tensors mapped and zeroed anew: a tenth of its time and more. The
    peak of memory stays as it is. For as long as the process lives; without glibc nothing changes.

    Returns:
        Whether the allocator does so now.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    set_option = ctypes.CDLL(None).mallopt
    return bool(set_option(MMAP_THRESHOLD, LARGEST_KEPT) and set_option(TRIM_THRESHOLD, MOST_KEPT))
