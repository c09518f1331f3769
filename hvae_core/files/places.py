"""Where things lie on this machine, and whether the network may be used."""

from __future__ import annotations

import os
from pathlib import Path

from hvae_core.files.paths import check_length, expand_home


def cache_folder() -> Path:
    """The folder for downloads: ``HVAE_HOME``, else the platform's cache folder for hvae.

    Raises:
        BadInputError: ``HVAE_HOME`` begins with the home of no user, or is too long.
    """
    home = os.environ.get("HVAE_HOME")
    if home:
        return check_length(expand_home(home, where="HVAE_HOME"), "HVAE_HOME")
    import platformdirs

    return platformdirs.user_cache_path("hvae")


def offline() -> bool:
    """Whether ``HVAE_OFFLINE`` forbids the network."""
    return os.environ.get("HVAE_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}
