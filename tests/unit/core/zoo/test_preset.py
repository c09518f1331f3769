"""The hints of a preset without weights, followed."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hvae_core.cli.main import main
from hvae_core.errors import PresetError
from hvae_core.zoo import pull
from hvae_core.zoo.finding import find_with_weights


def commands(source: str) -> list[list[str]]:
    """What the error of a preset without weights says to call, without ``hvae``."""
    with pytest.raises(PresetError, match="has no weights on this machine") as caught:
        find_with_weights(source)
    return [shlex.split(part)[1:] for part in caught.value.hint.split(" with: ")[1:]]


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "preset.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


@pytest.mark.parametrize("train", [{"epochs": 2}, {"steps": 30}, {"minutes": 1.5}, {}], ids=str)
def test_the_command_that_trains_it_is_accepted(
    train: dict[str, float], zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    edit(zoo / "untrained", train={"tensorboard": False, **train})
    (command,) = commands("untrained")
    assert command == ["train", "untrained", *([] if train else ["--set", "train.epochs=N"])]
    with pytest.raises(SystemExit) as left:
        main([*(part.replace("=N", "=1") for part in command), "--dry-run"])
    out, err = capsys.readouterr()
    assert left.value.code == 0, err
    assert ("minutes: 1.5" if "minutes" in train else "steps: ") in out


@pytest.mark.parametrize("place", ["mine", "./a folder/mine"])
def test_one_found_in_a_folder_is_called_by_it(
    place: str, zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name alone would be found nowhere."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(zoo / "untrained", place)
    edit(Path(place), name="mine")
    assert commands(place) == [["train", str(Path(place))]]
    source = (zoo / "trained" / "model.safetensors").as_uri()
    record = yaml.safe_load((zoo / "trained" / "preset.yaml").read_text())["weights"]
    edit(Path(place), weights={**record, "sources": [source]})
    (command,) = commands(place)
    assert command == ["zoo", "pull", str(Path(place))]
    assert pull(command[2]).name == "mine"
