"""The versions of hvae and of the packages it runs on, from their metadata."""

from __future__ import annotations


def package_version(package: str) -> str | None:
    """The installed version of a package, which is not imported; None where there is none."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def hvae_version() -> str:
    """The installed version of hvae, or ``0+unknown`` where its files are used uninstalled."""
    return package_version("hvae") or "0+unknown"
