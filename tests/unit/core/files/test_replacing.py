from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hvae_core.errors import DownloadError, HvaeError
from hvae_core.files import replacing as replacing_module
from hvae_core.files.replacing import (
    LEFTOVER,
    disk_errors,
    move_into_place,
    remove_folder,
    replace_file,
    replacing,
    replacing_folder,
    swap_in,
)

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail(path: Path, error: type[BaseException]) -> None:
    path.write_text("half")
    raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("old")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "results"
    path.mkdir()
    (path / "old.txt").write_text("old")
    return path


# --- a file


@pytest.mark.parametrize("flush", [True, False])
def test_a_file_and_its_folder_are_made(tmp_path: Path, flush: bool) -> None:
    path = replace_file(tmp_path / "new" / "a.txt", "schön\n", flush=flush)
    assert path.read_bytes() == "schön\n".encode()
    assert names(path.parent) == ["a.txt"]


def test_the_older_file_stays_until_the_newer_is_whole(file: Path) -> None:
    with replacing(file) as temporary:
        temporary.write_text("half")
        assert temporary.parent == file.parent
        assert temporary.name.startswith(".")
        assert file.read_text() == "old"
    assert file.read_text() == "half"
    assert names(file.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_what_fails_in_between_leaves_the_older_file_and_nothing_else(
    file: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), replacing(file) as temporary:
        fail(temporary, error)
    assert file.read_text() == "old"
    assert names(file.parent) == ["a.txt"]


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_leaves_the_older_file_and_nothing_else(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: Any) -> None:
        raise FULL

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(file, b"new")
    monkeypatch.undo()
    assert file.read_text() == "old"
    assert names(file.parent) == ["a.txt"]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_permissions_are_those_of_a_plainly_created_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "a") as temporary:
            temporary.unlink()
            os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))  # as some libraries do
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


def test_two_threads_do_not_meet_at_one_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    meet = threading.Barrier(2)
    seen = []

    def write(content: bytes) -> None:
        with replacing(path, flush=False) as temporary:
            seen.append(temporary)
            meet.wait(10)
            temporary.write_bytes(content)

    threads = [threading.Thread(target=write, args=(letter * 9,)) for letter in (b"x", b"y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 2
    assert path.read_bytes() in (b"x" * 9, b"y" * 9)
    assert names(tmp_path) == ["a"]


def test_a_file_is_flushed_before_it_is_renamed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("flush"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("rename"), replace(*names)))
    replace_file(file, "new")
    assert calls == ["flush", "rename", "flush"]  # the file, and the folder that names it
    calls.clear()
    replace_file(file, "newer", flush=False)
    assert calls == ["rename"]


def test_a_finished_file_is_moved(file: Path, tmp_path: Path) -> None:
    (tmp_path / "part").write_text("new")
    move_into_place(tmp_path / "part", file)
    assert file.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


# --- a folder


def test_a_folder_takes_its_place_when_it_is_finished(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "new" / "results") as work:
        (work / "deep").mkdir()
        (work / "deep" / "a").write_text("1")
        (work / "read-only").touch(0o444)
        assert not (tmp_path / "new" / "results").exists()
    assert names(tmp_path / "new") == ["results"]
    assert (tmp_path / "new" / "results" / "deep" / "a").read_text() == "1"


def test_an_older_folder_gives_way(folder: Path) -> None:
    with replacing_folder(folder) as work:
        (work / "new.txt").touch()
        assert names(folder) == ["old.txt"]
    assert names(folder) == ["new.txt"]
    assert names(folder.parent) == ["results"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_unfinished_folder_leaves_the_older_and_nothing_else(
    folder: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), replacing_folder(folder) as work:
        fail(work / "half", error)
    assert names(folder) == ["old.txt"]
    assert names(folder.parent) == ["results"]


def test_an_older_folder_comes_back_where_the_rename_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def once(source: Any, target: Any) -> None:
        if Path(target) == folder and Path(source).suffix == ".tmp":
            raise FULL
        replace(source, target)

    monkeypatch.setattr(os, "replace", once)
    monkeypatch.setattr(replacing_module, "_exchange", lambda *_: False)
    with pytest.raises(OSError, match="No space left"), replacing_folder(folder) as work:
        (work / "new.txt").touch()
    assert names(folder) == ["old.txt"]
    assert names(folder.parent) == ["results"]


@pytest.mark.skipif(not sys.platform.startswith(("linux", "darwin")), reason="not possible here")
def test_a_folder_gives_way_in_one_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, seen = os.replace, []

    def watched(source: Any, target: Any) -> None:
        seen.append(names(folder))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    with replacing_folder(folder) as work:
        (work / "new.txt").touch()
    assert seen == [["new.txt"]]
    assert names(folder.parent) == ["results"]


def test_an_older_symbolic_link_gives_way_and_what_it_names_stays(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    with replacing_folder(link) as work:
        (work / "new.txt").touch()
    assert not link.is_symlink()
    assert names(link) == ["new.txt"]
    assert names(folder) == ["old.txt"]


def test_what_a_killed_process_leaves_is_known_by_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "finished").mkdir()
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    swap_in(tmp_path / "finished", folder.rename(tmp_path / "my.results"))
    (left,) = [name for name in names(tmp_path) if name.startswith(".")]
    found = LEFTOVER.fullmatch(left)
    assert found is not None
    assert found["name"] == "my.results"
    assert LEFTOVER.fullmatch(".mine.123.old")  # as it was named before


def test_a_removed_folder_is_out_of_sight_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path) -> None:
        assert LEFTOVER.fullmatch(path.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_folder(folder)
    assert not folder.exists()
    (left,) = folder.parent.iterdir()
    remove_folder(left)
    assert names(folder.parent) == []


def test_removing_a_symbolic_link_leaves_what_it_names(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    remove_folder(link)
    assert names(folder.parent) == ["results"]


# --- errors


def test_the_system_s_error_becomes_a_sentence() -> None:
    with pytest.raises(DownloadError) as caught, disk_errors("write x", "Do.", DownloadError):
        raise FULL
    assert caught.value.message == "Cannot write x: No space left on device."
    assert caught.value.hint == "Do."


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), disk_errors("write x"):
        _ = 1 / 0
    with pytest.raises(HvaeError, match=r"^as it was$"), disk_errors("write x"):
        raise HvaeError("as it was")


@pytest.mark.parametrize("path", [".", "results", "/"])
def test_a_folder_is_refused_before_a_file_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(IsADirectoryError) as caught, replacing(path):
        pytest.fail("nothing is to be written")
    assert caught.value.filename == path
    assert names(folder.parent) == ["results"]
