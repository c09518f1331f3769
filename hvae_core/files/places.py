"""Where things lie on this machine, and whether the network may be used."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder for downloads: ``HVAE_HOME``, else the platform's cache folder for hvae."""
    home = os.environ.get("HVAE_HOME")
    if home:
        return Path(home).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("hvae")


def offline() -> bool:
    """Whether ``HVAE_OFFLINE`` forbids the network."""
    return os.environ.get("HVAE_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}
