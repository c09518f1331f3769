"""What `prune` removes, and what it leaves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import filelock
import pytest
import yaml

from hvae_core.errors import HvaeError, PresetError
from hvae_core.zoo import prune
from hvae_core.zoo.workplace import lock_path


@pytest.fixture
def pulled(zoo: Path, home: Path) -> Path:
    """The pulled presets: two in order, one of another version, one without weights, and scraps."""
    folder = home / "presets"
    for name in ("mine", "trained", "untrained", "bare", ".mine.123.old", ".pulling/half"):
        shutil.copytree(zoo / "trained", folder / name)
    (folder / "bare" / "model.safetensors").unlink()
    (folder / ".pulling" / "half" / "model.safetensors.part").write_bytes(bytes(1000))
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_nothing_uses(pulled: Path) -> None:
    expected = {
        "half": "interrupted pull",
        "mine": "left over by a process that was killed",
        "bare": "has no weights",
        "untrained": "of another version than the installed preset",
    }
    before = sorted(pulled.rglob("*"))
    told = prune(dry_run=True)
    assert {item.name: item.reason for item in told} == expected
    assert min(item.size for item in told) > 0
    assert [path for path in sorted(pulled.rglob("*")) if path.suffix != ".lock"] == before
    assert prune() == told
    assert names(pulled) == {"mine", "trained", ".pulling"}
    assert names(pulled / ".pulling") == set()
    assert prune() == []


def test_what_is_asked_for(pulled: Path, zoo: Path) -> None:
    for name, match in (("mime", "Did you mean 'mine'"), ("half", "no pulled preset 'half'")):
        with pytest.raises(PresetError, match=match):
            prune(["mine", name])
    assert (pulled / "mine").is_dir()
    assert [item.folder for item in prune(["mine"])] == [str(pulled / "mine")]
    assert "mine" not in names(pulled)
    assert (zoo / "trained" / "model.safetensors").is_file()
    shutil.rmtree(pulled / "trained")
    with pytest.raises(PresetError, match="came with a package"):
        prune(["trained"])


def test_a_pull_that_goes_on_is_left(pulled: Path) -> None:
    with filelock.FileLock(lock_path("half")):
        assert "half" not in [item.name for item in prune()]
    assert (pulled / ".pulling" / "half").is_dir()


def test_a_link_is_removed_and_not_followed(pulled: Path, tmp_path: Path) -> None:
    shutil.move(pulled / "mine", tmp_path / "elsewhere")
    (pulled / "mine").symlink_to(tmp_path / "elsewhere")
    prune(["mine"])
    assert not (pulled / "mine").is_symlink()
    assert (tmp_path / "elsewhere" / "model.safetensors").is_file()


def test_a_folder_that_cannot_be_removed(pulled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(HvaeError, match=r"Cannot remove .*Permission denied"):
        prune(["mine"])
    assert yaml.safe_load((pulled / "mine" / "preset.yaml").read_text())["name"] == "trained"
