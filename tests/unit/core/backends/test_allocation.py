"""What a process keeps of its freed memory."""

import platform
import subprocess
import sys

import pytest

from hvae_core.backends.allocation import keep_freed_memory

SCRIPT = """
import resource, sys
import numpy as np
from hvae_core.backends.allocation import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory() and keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(2**21, np.float32) for _ in range(8)]  # of 8 MiB each
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="without glibc nothing changes")
def test_freed_memory_is_used_again_without_being_mapped_anew():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", SCRIPT, how], check=True, text=True,
                                capture_output=True).stdout)
        for how in ("keep", "leave")
    }  # fmt: skip
    assert faults["keep"] < 200 < faults["leave"]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_freed_memory.__wrapped__() is False
