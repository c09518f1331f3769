from __future__ import annotations

from pathlib import Path

import filelock
import pytest

from hvae_core.files.locks import lock_of


def test_a_second_waits_until_the_first_is_done(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.npy"
    with lock_of(target):
        with pytest.raises(filelock.Timeout):
            lock_of(target).acquire(timeout=0)
        with lock_of(target.with_name("b.npy")):
            pass
    with lock_of(target):
        assert not target.exists()


def test_no_link_is_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (tmp_path / ".a.npy.lock").symlink_to(other)
    with lock_of(tmp_path / "a.npy"):
        assert not other.exists()
