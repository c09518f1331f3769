from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hvae_core.errors import BadInputError, PresetError
from hvae_core.files.paths import (
    check_replaceable,
    exists,
    expand_home,
    is_file,
    is_folder,
    real_name,
)
from hvae_core.files.places import cache_folder
from hvae_core.files.replacing import disk_errors, replace_file, replacing_folder

LONG = "a" * 300
TOO_LONG = ["a" * 300, "ä" * 200, "a/" * 2500, f"{'a' * 200}/{'b' * 260}"]


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expand_home("~/x") == tmp_path / "x"
    assert expand_home("./~/x") == Path("./~/x")


def test_the_home_of_no_user() -> None:
    with pytest.raises(PresetError) as caught:
        expand_home("~nosuchuser/x", PresetError)
    assert str(caught.value) == (
        "The path '~nosuchuser/x' begins with '~nosuchuser', but there is no user 'nosuchuser' on "
        "this machine. Write the path in full; a folder that is named so is ./~nosuchuser"
    )


def test_no_home_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(BadInputError, match="begins with '~', but no home folder is known"):
        expand_home("~/x")


@pytest.mark.parametrize("test", [is_file, is_folder, exists])
@pytest.mark.parametrize("path", TOO_LONG, ids=len)
def test_at_a_path_that_is_too_long_there_is_nothing(
    test: Callable[[str | Path], bool], path: str
) -> None:
    assert test(path) is False
    assert test(Path(path)) is False


def test_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = [(is_file(path), is_folder(path), exists(path)) for path in
             (tmp_path, tmp_path / "file", tmp_path / "file" / "x")]  # fmt: skip
    assert found == [(False, True, True), (True, False, True), (False, False, False)]


@pytest.mark.parametrize(
    ("test", "method"), [(is_file, "is_file"), (is_folder, "is_dir"), (exists, "exists")]
)
def test_a_folder_that_may_not_be_entered_is_no_absence(
    test: Callable[[str], bool], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, method, refused)
    with pytest.raises(PermissionError):
        test("x")


def test_the_name_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("to")
    (tmp_path / "circle").symlink_to("circle")
    assert real_name(".") == tmp_path.name
    assert [real_name(path) for path in ("a/b/..", "link", "circle")] == ["a", "to", "circle"]


@pytest.mark.parametrize(
    ("home", "match"),
    [
        ("~nosuchuser/x", "^HVAE_HOME: the path '~nosuchuser/x' begins with '~nosuchuser'"),
        (LONG, f"^HVAE_HOME: the path '{LONG}' is longer than the system allows"),
    ],
    ids=["no-user", "too-long"],
)
def test_a_cache_folder_that_cannot_be(
    home: str, match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HVAE_HOME", home)
    with pytest.raises(BadInputError, match=match):
        cache_folder()


def write_file(target: Path) -> None:
    replace_file(target, "x")


def write_folder(target: Path) -> None:
    with replacing_folder(target) as work:
        (work / "file").write_text("x")


@pytest.mark.parametrize("name", [LONG, "b" * 250], ids=["name", "hidden-name"])
@pytest.mark.parametrize("write", [write_file, write_folder])
def test_writing_to_a_name_that_is_too_long_is_bad_input(
    write: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    """The second is short enough, but the hidden name beside it is not."""
    target = tmp_path / name
    with pytest.raises(BadInputError) as caught, disk_errors(f"write {target}"):
        write(target)
    assert caught.value.message == f"Cannot write {target}: {os.strerror(errno.ENAMETOOLONG)}."
    assert caught.value.hint == "Choose a shorter name."
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_told_where_the_action_does_not() -> None:
    said = "Cannot write in here: File name too long: aaa.*"
    with pytest.raises(PresetError, match=said), disk_errors("write in here", "", PresetError):
        os.stat(LONG)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".", "it is the current folder"),
        ("../here", "it is the current folder"),
        ("{tmp_path}/here", "it is the current folder"),
        ("..", "the current folder lies in it"),
        ("{tmp_path}", "the current folder lies in it"),
        ("/", "the current folder lies in it"),
    ],
)
def test_no_folder_takes_the_place_of_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, why: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = path.format(tmp_path=tmp_path)
    with pytest.raises(BadInputError) as caught:
        check_replaceable(path)
    assert caught.value.message == f"A new folder cannot take the place of {path}: {why}."
    with pytest.raises(BadInputError, match=why), replacing_folder(path):
        pytest.fail("nothing is to be computed")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "here"]


def test_no_folder_takes_the_place_of_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "disk")
    with pytest.raises(BadInputError, match="a disk is mounted there"):
        check_replaceable(tmp_path / "disk")
    assert check_replaceable(tmp_path / "disk" / "new") == tmp_path / "disk" / "new"


def test_other_folders_are_replaceable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in the current folder and beside it, by whatever path, and a link to it."""
    (tmp_path / "here").mkdir()
    (tmp_path / "other" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "link").symlink_to(tmp_path / "here")
    for path in ("new", "../here2", "../other/inner/..", tmp_path / "link"):
        assert check_replaceable(path) == Path(path)
        with replacing_folder(path) as work:
            (work / "a").write_text("new")
        assert (Path(path).resolve() / "a").read_text() == "new"
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "here2", "link", "other"]
