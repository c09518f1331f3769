from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

import numpy
import pytest

import hvae_core
from hvae_core.files.digests import file_digest
from hvae_core.files.versions import hvae_version, package_version


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_s_digest(tmp_path: Path, algorithm: str) -> None:
    content = bytes(range(256)) * 5_000
    (tmp_path / "x").write_bytes(content)
    assert file_digest(tmp_path / "x", algorithm) == hashlib.new(algorithm, content).hexdigest()


def test_the_digest_is_sha256_where_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert file_digest(tmp_path / "x") == hashlib.sha256().hexdigest()


def test_a_missing_file_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "x")


def test_versions_come_from_the_packages_metadata() -> None:
    assert package_version("numpy") == numpy.__version__
    assert package_version("there-is-no-such-package") is None
    assert hvae_version() == metadata.version("hvae") == hvae_core.__version__


def test_hvae_s_files_used_uninstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert hvae_version() == hvae_core.__version__ == "0+unknown"
