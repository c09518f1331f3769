"""Compiled programs kept on disk, so that a second process need not compile them again.

JAX alone has such a cache. It lies in the cache folder, see `hvae_core.files.places`, under a
name of this CPU's own: XLA compiles for the CPU's features, and home folders are shared between
machines.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from pathlib import Path

from hvae_core.files.places import cache_folder

#: programs that compile faster than this, in seconds, are not kept
LEAST_SECONDS = 0.1
#: bytes; beyond them JAX drops the programs that were not used for the longest time
MOST_BYTES = 4 << 30


@functools.cache
def cpu_name() -> str:
    """A name for this kind of CPU: machines of one name run each other's programs."""
    features = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.partition(":")[0].strip() in ("flags", "Features", "model name"):
                features += line
                if not line.startswith("model name"):
                    break
    except OSError:
        features = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"


def keep_compiled_programs() -> None:
    """Make JAX keep what it compiles from here on.

    Nothing is changed where the user has set ``JAX_COMPILATION_CACHE_DIR`` or configured JAX, or
    with ``HVAE_COMPILATION_CACHE=0``, or where the folder cannot be written.
    """
    import jax

    name = "jax_compilation_cache_dir"
    if os.environ.get("HVAE_COMPILATION_CACHE") == "0" or getattr(jax.config, name):
        return
    folder = cache_folder() / "compiled" / cpu_name()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update(name, str(folder))
    jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
