"""Presets whose weights are an original's checkpoint, fetched and converted."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hvae_core.errors import DownloadError, HvaeError, PresetError
from hvae_core.weights import read_tensors
from hvae_core.zoo import find_preset, pull, verify, write_preset
from hvae_core.zoo.conversion import import_checkpoint
from hvae_core.zoo.finding import preset_summary
from hvae_core.zoo.preset import read_preset
from hvae_core.zoo.pruning import prune


def entry(path: Path, **changes: Any) -> dict[str, Any]:
    """The record of a file."""
    content = path.read_bytes()
    record = {
        "name": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "sources": [path.as_uri()],
    }
    return {**record, **changes}


@pytest.fixture
def files(tmp_path: Path, fixtures_folder: Path) -> Path:
    """zea's files, to be changed."""
    return Path(shutil.copytree(fixtures_folder / "zea", tmp_path / "files"))


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory, fixtures_folder: Path) -> Path:
    """The preset that hvae import makes of them."""
    folder = tmp_path_factory.mktemp("import") / "direct"
    import_checkpoint("zea", fixtures_folder / "zea", folder)
    return folder


def offer(zoo: Path, direct: Path, original: dict[str, Any] | None, name: str = "copy") -> Path:
    """An installed preset without weights whose original is elsewhere."""
    write_preset(zoo / name, read_preset(direct).config)
    path = zoo / name / "preset.yaml"
    info = yaml.safe_load(path.read_text())
    info["weights"] = {"original": original}
    path.write_text(yaml.safe_dump(info))
    return zoo / name


def record_of(files: Path, **changes: Any) -> dict[str, Any]:
    names = ("args.pkl", "hvae_lvh.weights.h5")
    return {"format": "zea", "files": [entry(files / name) for name in names], **changes}


def refused(home: Path, error: type[HvaeError] = PresetError, name: str = "copy") -> str:
    """The sentence with which a pull is refused; nothing is installed."""
    with pytest.raises(error) as caught:
        pull(name)
    assert find_preset(name).weights_path is None
    assert not (home / "presets" / name).exists()
    return str(caught.value)


def test_a_pull_fetches_the_original_and_converts_it(
    zoo: Path, home: Path, direct: Path, files: Path
) -> None:
    offer(zoo, direct, record_of(files, options={"version": "lvh"}))
    assert preset_summary("copy")["weights"] == "to pull"
    told: list[str] = []
    result = pull("copy", progress=lambda name, done, total: told.append(name))
    assert result.status == "pulled"
    assert {"args.pkl", "hvae_lvh.weights.h5"} <= set(told)
    found = find_preset("copy")
    assert found.origin == "pulled"
    assert verify(found).recorded
    assert found.weights_path is not None
    ours, theirs = read_tensors(found.weights_path), read_tensors(direct / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert {path.name for path in found.folder.iterdir()} <= {
        "preset.yaml", "model.safetensors", "README.md", "samples.png", "origin.json",
    }  # fmt: skip
    assert pull("copy").status == "already here"
    assert not prune(dry_run=True)
    assert pull("copy", force=True).status == "pulled"


def test_a_pulled_copy_of_another_checkpoint_is_not_taken(
    zoo: Path, home: Path, direct: Path, files: Path
) -> None:
    folder = offer(zoo, direct, record_of(files))
    pull("copy")
    path = folder / "preset.yaml"
    info = yaml.safe_load(path.read_text())
    info["weights"]["original"]["files"][0]["sha256"] = "0" * 64
    path.write_text(yaml.safe_dump(info))
    assert find_preset("copy").weights_path is None
    assert [item.name for item in prune(dry_run=True)] == ["copy"]


def test_what_is_not_the_promised_file_is_refused(
    zoo: Path, home: Path, direct: Path, files: Path
) -> None:
    record = record_of(files)
    record["files"][1]["sha256"] = "0" * 64
    offer(zoo, direct, record)
    assert "hvae_lvh.weights.h5" in refused(home, DownloadError)
    record = record_of(files)
    record["files"][1]["size"] += 1
    offer(zoo, direct, record, "longer")
    assert "bytes" in refused(home, DownloadError, "longer")


class Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_a_checkpoint_that_would_run_code_is_refused_though_its_checksum_fits(
    zoo: Path, home: Path, direct: Path, files: Path, tmp_path: Path
) -> None:
    (files / "args.pkl").write_bytes(pickle.dumps(Runs(tmp_path / "was-run")))
    offer(zoo, direct, record_of(files))
    assert "Nothing in it was run" in refused(home)
    assert not (tmp_path / "was-run").exists()
    assert not (home / "presets" / ".pulling" / "copy").exists()


def test_a_checkpoint_of_another_model_is_refused(
    zoo: Path, home: Path, direct: Path, files: Path
) -> None:
    folder = offer(zoo, direct, record_of(files))
    path = folder / "preset.yaml"
    info = yaml.safe_load(path.read_text())
    info["model"]["softplus_beta"] = 1.0
    path.write_text(yaml.safe_dump(info))
    assert "another model than the preset 'copy'" in refused(home)
    offer(zoo, direct, record_of(files, format="other"), "unknown")
    assert "'other'" in refused(home, name="unknown")
    offer(zoo, direct, record_of(files, options={"version": 3}), "options")
    assert "version" in refused(home, name="options")


def test_a_checkpoint_and_its_file_of_hyperparameters(
    zoo: Path, home: Path, tmp_path: Path, fixtures_folder: Path
) -> None:
    folder = fixtures_folder / "efficient-vdvae"
    config = folder / "hparams-handed.cfg"
    import_checkpoint("efficient-vdvae", folder / "checkpoint", tmp_path / "direct", str(config))
    record = {
        "format": "efficient-vdvae",
        "files": [entry(folder / "checkpoint"), entry(config)],
        "checkpoint": "checkpoint",
        "config": "hparams-handed.cfg",
    }
    offer(zoo, tmp_path / "direct", record)
    assert pull("copy").status == "pulled"
    path = find_preset("copy").weights_path
    assert path is not None
    assert len(read_tensors(path)) == 366


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": None}, "weights.original must have format"),
        ({"options": [1]}, "weights.original must have format"),
        ({"further": 1}, "weights.original must be a mapping"),
        ({"files": []}, "weights.original.files must be a list"),
        ({"files": [{"name": "x"}]}, "files[0] must be a mapping"),
        ({"checkpoint": "other"}, "weights.original.checkpoint must be"),
        ({"config": "../x"}, "weights.original.config must be"),
    ],
)
def test_a_record_of_another_form_is_refused(
    zoo: Path, home: Path, direct: Path, files: Path, change: dict[str, Any], named: str
) -> None:
    offer(zoo, direct, {**record_of(files), **change})
    with pytest.raises(PresetError) as caught:
        pull("copy")
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "../args.pkl"}, "files[0].name"),
        ({"sha256": "0"}, "files[0].sha256"),
        ({"size": 0}, "files[0].size"),
        ({"size": 1 << 40}, "files[0].size"),
        ({"sources": []}, "files[0].sources"),
    ],
)
def test_a_record_of_a_file_of_another_form_is_refused(
    zoo: Path, home: Path, direct: Path, files: Path, change: dict[str, Any], named: str
) -> None:
    record = record_of(files)
    record["files"][0] = {**record["files"][0], **change}
    offer(zoo, direct, record)
    with pytest.raises(PresetError) as caught:
        pull("copy")
    assert named in str(caught.value)


def test_a_record_that_names_a_file_twice_is_refused(
    zoo: Path, home: Path, direct: Path, files: Path
) -> None:
    record = record_of(files)
    record["files"] *= 2
    offer(zoo, direct, record)
    with pytest.raises(PresetError, match="names a file twice"):
        pull("copy")
