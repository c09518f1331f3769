"""What can be refused before a model or a checkpoint is read is refused before."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hvae_core import api
from hvae_core.cli.main import main
from hvae_core.weights import write_tensors
from hvae_core.zoo import write_preset

CONFIG = {
    "model": {"resolutions": [8, 4, 1], "image_channels": 1, "width": 8},
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    "data": {"name": "digits"},
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a preset, another one, and a file that is no checkpoint."""

    def load(*_: object, **__: object) -> None:
        raise AssertionError("The model was loaded.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "load", load)
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    for name in ("mine", "there"):
        write_preset(
            tmp_path / name,
            CONFIG,
            lambda path: write_tensors({"a": np.ones((2, 3), np.float32)}, path),
        )
    for name in ("damaged.th", "damaged.pth", "file"):
        (tmp_path / name).write_bytes(b"no checkpoint")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("zoo push mine there", "The preset there exists already.*replace it with --force"),
        ("zoo push mine file", "file"),
        ("zoo push mine new --name a/b", "a preset's name"),
        ("zoo push mine hf://me/mine", "without a licence"),
        ("import openai-vdvae damaged.th -o there", "exists already.*with --overwrite"),
        ("import openai-vdvae damaged.th -o new --config cifar11", "cifar11"),
        ("import efficient-vdvae damaged.pth -o new --config cifar11", "cifar11"),
        ("export mine -o new --size 8 --format nonsense", "nonsense"),
        ("export mine -o new --size 8 --precision nonsense", "nonsense"),
        ("export mine -o file --size 8", "file"),
        ("export model.keras -o file", "file"),
    ],
)
def test_before_anything_is_read(
    line: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(place.iterdir())
    with pytest.raises(SystemExit) as left:
        main(line.split())
    told = capsys.readouterr().err
    assert left.value.code == 2, told
    assert re.search(said, told.replace("\n", " ")), told
    assert sorted(place.iterdir()) == before
