"""What `prune` removes, and what it leaves."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hvae_core.errors import HvaeError, PresetError
from hvae_core.zoo import prune, pruning
from hvae_core.zoo.workplace import held, lock_path, workplace


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
    assert not (pulled / ".pulling" / "half").exists()
    assert {path.suffix for path in (pulled / ".pulling").iterdir()} == {".lock"}
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


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_pull_that_goes_on_is_left(
    dry_run: bool, pulled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = {path: path.stat().st_ino for path in pulled.rglob("*")}
    with contextlib.ExitStack() as pulls:
        for name in ("half", "mine", "bare", "untrained"):
            pulls.enter_context(workplace(name))
        assert prune(dry_run=dry_run) == []
        assert [record.getMessage() for record in caplog.records] == [
            f"{name} is being pulled by another process; it is left alone."
            for name in ("bare", "half", "mine", "untrained")
        ]
        assert before.items() <= {path: path.stat().st_ino for path in pulled.rglob("*")}.items()


@pytest.mark.parametrize("dry_run", [True, False])
def test_one_that_is_being_pulled_is_not_removed_by_its_name(dry_run: bool, pulled: Path) -> None:
    with (
        workplace("mine"),
        pytest.raises(PresetError, match="Cannot remove 'mine': another process is pulling it"),
    ):
        prune(["trained", "mine"], dry_run=dry_run)
    assert (pulled / "mine").is_dir()
    assert (pulled / "trained").is_dir()


@pytest.mark.parametrize("asked_for", [(), ("mine",)])
def test_a_lock_that_is_held_or_waited_for_stays(pulled: Path, asked_for: tuple[str, ...]) -> None:
    """Else a second pull would get a lock of its own and write in the same workplace."""
    second = "from hvae_core.zoo.workplace import held\nwith held('mine') as free: print(free)"
    with workplace("mine"):
        number = lock_path("mine").stat().st_ino
        with contextlib.suppress(PresetError):
            prune(asked_for)
        assert lock_path("mine").stat().st_ino == number
        run = [sys.executable, "-c", second]
        assert subprocess.run(run, capture_output=True, text=True).stdout == "False\n"
    assert (pulled / "mine").is_dir()
    prune(["mine"])
    assert lock_path("mine").stat().st_ino == number


def test_the_lock_is_held_while_a_folder_goes(
    pulled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def remove(folder: Path) -> None:
        name = folder.name if folder.name[0] != "." else "mine"  # beside it, what it left over
        with held(name) as free:
            seen.append((folder.name, free))

    monkeypatch.setattr(pruning, "remove_folder", remove)
    prune()
    prune(["mine"])
    expected = {"half", ".mine.123.old", "bare", "untrained", "mine"}
    assert set(seen) == {(name, False) for name in expected}


def test_what_a_pull_has_finished_meanwhile_is_kept(
    pulled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the lock, pulls of "bare" and of "half" have come to their end."""

    @contextlib.contextmanager
    def later(name: str) -> Iterator[bool]:
        shutil.copy(pulled / "mine" / "model.safetensors", pulled / "bare")
        if (pulled / ".pulling" / "half").exists():
            (pulled / ".pulling" / "half").rename(pulled / "half")
            shutil.copy(pulled / "mine" / "model.safetensors", pulled / "half")
        with held(name) as free:
            yield free

    monkeypatch.setattr(pruning, "held", later)
    assert {item.name for item in prune()} == {"mine", "untrained"}
    assert {"half", "bare"} <= names(pulled)


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
