import os
import sys

import pytest

from hvae_core.data.file_search import find_files
from hvae_core.errors import DataError

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def found(root):
    return [path.relative_to(root).as_posix() for path in find_files(root, {".png"})]


def test_files_at_any_depth_in_the_order_of_their_names(tmp_path):
    touch(tmp_path, "b/2.png", "b/1.PNG", "a.png", "c/d/e/3.png", "notes.txt")
    assert found(tmp_path) == ["a.png", "b/1.PNG", "b/2.png", "c/d/e/3.png"]


@pytest.mark.parametrize(
    "name",
    [".ipynb_checkpoints/a.png", "cats/.ipynb_checkpoints/a-checkpoint.png", "__MACOSX/a.png",
     "cats/._a.png", ".DS_Store", ".hidden.png", "@eaDir/a.png", "$RECYCLE.BIN/a.png"],
)  # fmt: skip
def test_what_systems_and_editors_leave_is_left_out(tmp_path, name):
    touch(tmp_path, "a.png", name)
    assert found(tmp_path) == ["a.png"]


def test_the_folder_itself_may_be_hidden(tmp_path):
    touch(tmp_path, ".images/a.png")
    assert found(tmp_path / ".images") == ["a.png"]


@needs_links
def test_linked_folders_and_files_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/1.png", "elsewhere/deep/2.png", "root/0.png", "more/3.png")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "file.png").symlink_to(tmp_path / "more" / "3.png")
    (tmp_path / "elsewhere" / "on").symlink_to(tmp_path / "more")
    assert found(tmp_path / "root") == [
        "0.png", "file.png", "link/1.png", "link/deep/2.png", "link/on/3.png"
    ]  # fmt: skip


@needs_links
def test_loops_and_second_ways_are_not_gone(tmp_path):
    touch(tmp_path, "root/a/1.png", "outside.png")
    root = tmp_path / "root"
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "0-again").symlink_to(root / "a")  # comes first, but the real folder counts
    (root / "around").symlink_to(tmp_path)
    assert found(root) == ["a/1.png"]


@needs_links
def test_a_link_to_itself_leads_nowhere(tmp_path):
    touch(tmp_path, "a.png")
    for name in ("self", "self.png"):
        (tmp_path / name).symlink_to(tmp_path / name)
    assert found(tmp_path) == ["a.png", "self.png"]  # of which reading tells


@needs_links
def test_a_link_that_cannot_be_followed_is_named(tmp_path, monkeypatch):
    (tmp_path / "closed").symlink_to(tmp_path)

    class Refusing:
        name, path = "closed", str(tmp_path / "closed")

        def is_dir(self, follow_symlinks=True):
            if follow_symlinks:
                raise PermissionError(13, "Permission denied")
            return False

    monkeypatch.setattr(os, "scandir", lambda folder: [Refusing()])
    with pytest.raises(DataError, match=r"closed cannot be followed \(Permission denied\)"):
        found(tmp_path)


@needs_links
def test_a_link_to_nothing_is_told_when_it_is_read(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert found(tmp_path) == ["gone.png"]


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="everything may be read there"
)
def test_a_folder_without_the_right_to_read_it_is_named(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(DataError, match="closed cannot be read"):
        find_files(tmp_path, {".png"})
