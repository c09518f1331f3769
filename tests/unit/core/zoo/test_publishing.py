"""`push` to a folder: what is published, and what stays on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from hvae_core.config import parse_config
from hvae_core.errors import PresetError
from hvae_core.zoo import Publication, find_preset, pull, push, verify
from hvae_core.zoo.publishing import figures_of, layers_of
from hvae_core.zoo.without_places import without_places


def test_a_folder_that_can_be_pulled_from(zoo: Path, tmp_path: Path) -> None:
    info = {"name": "mine", "licence": "MIT", "cite": "Cite me."}
    found = Publication.of(find_preset("trained"))
    target = push(
        Publication(found.config, found.weights, {**found.info, **info}), tmp_path / "mine"
    )
    assert verify(target).recorded
    card = (tmp_path / "mine" / "README.md").read_text()
    for part in ("# mine", "| bits/dim | 3.25 |", "MIT", "Cite me."):
        assert part in card
    assert pull(target).name == "mine"
    with pytest.raises(PresetError, match="exists already"):
        push(found, tmp_path / "mine")


def test_pictures_and_layers_stand_on_the_card_and_come_with_it(zoo: Path, tmp_path: Path) -> None:
    for file in ("samples.png", "reconstructions.png", "training.png"):
        (zoo / "trained" / file).write_bytes(file.encode())
    found = Publication.of(find_preset("trained"))
    layers = {"kl": [1.25, 8.0, *[3] * 7], "active_units": [1] * 9, "units": [16] * 9}
    info = {
        **found.info,
        "name": "mine",
        "layers": {**layers, "how": "360 test images"},
        "pictures": {"samples.png": "At three temperatures.", "training.png": "It fell."},
    }
    push(dataclasses.replace(found, info=info), tmp_path / "mine")
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "![Samples](samples.png)\n\nAt three temperatures.\n" in card
    assert "| layer | latent | KL, nats | units in use | units |\n| - | - | - | - | - |\n" in card
    assert "| 1 | 1x1x16 | 1.25 | 1 | 16 |\n| 2 | 1x1x16 | 8.0 | 1 | 16 |" in card
    assert "| 9 | 8x8x16 | 3 | 1 | 16 |" in card
    assert "Of 360 test images.\n\n![Reconstructions](reconstructions.png)\n" in card
    assert "![The training](training.png)\n\nIt fell.\n" in card
    pulled = find_preset(pull(str(tmp_path / "mine")).name)
    assert (pulled.folder / "training.png").read_bytes() == b"training.png"
    assert Publication.of(pulled).info["layers"]["kl"] == layers["kl"]


def test_the_card_has_each_command_of_its_figures_once(zoo: Path, tmp_path: Path) -> None:
    found = Publication.of(find_preset("trained"))
    command = "hvae evaluate mine --set data.root=DIR"
    figures = {
        "nats": {"value": -1.5, "command": command},
        "psnr_of_mean": {"value": 20.0, "command": command},
        "elbo": {"value": -2.0, "command": "a\n```\nb"},
    }
    info = {**found.info, "name": "mine", "figures": figures}
    push(dataclasses.replace(found, info=info), tmp_path / "mine")
    card = (tmp_path / "mine" / "README.md").read_text()
    assert f"Measured with:\n\n```\n{command}\na ''' b\n```\n" in card
    assert card.count(command) == 1


def test_a_picture_has_a_name_that_a_preset_knows(zoo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(b"a picture")
    found = dataclasses.replace(Publication.of(find_preset("trained")), pictures=[other])
    with pytest.raises(PresetError, match=r"no picture 'other.png'. Known pictures: samples.png"):
        push(found, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_the_layers_of_an_evaluation() -> None:
    evaluation = {"images": 360, "split": "test", "dataset": "digits", "kl_per_layer": [0.128, 3.5]}
    assert layers_of(evaluation) == {"kl": [0.13, 3.5], "how": "360 test images of digits"}
    assert layers_of({"psnr_of_mean": 3.0}) == {}
    with pytest.raises(PresetError, match="no figures of an evaluation: kl_per_layer"):
        layers_of({**evaluation, "kl_per_layer": [None]})


def test_the_card_names_the_papers(zoo: Path) -> None:
    card = (zoo / "trained" / "README.md").read_text()
    assert "@software{hvae," in card
    assert "- Child 2020, Very Deep VAEs, arXiv 2011.10650" in card


@pytest.mark.parametrize(
    ("data", "published"),
    [
        ({"name": "cifar10", "root": "/home/me/cifar"}, {}),
        ({"name": "image-folder", "root": "/home/me/photos", "size": 8}, {"root": "photos"}),
        (
            {"name": "arrays", "files": {"train": "/home/me/a.npy", "test": "C:\\home\\me\\b.npz"}},
            {"files": {"train": "a.npy", "test": "b.npz"}},
        ),
        ({"name": "arrays", "files": "~/home/me/a.npy"}, {"files": {"train": "a.npy"}}),
        ({"name": "hub", "repository": "/home/me/photos", "size": 8}, {"repository": "photos"}),
        (
            {"name": "hub", "repository": "owner/name", "splits": {"train": "train[:90%]"}},
            {"repository": "owner/name", "splits": {"train": "train[:90%]"}},
        ),
        (
            {"name": "mnist", "url": "https://me:secret@example.org/mnist"},
            {"url": "https://example.org/mnist"},
        ),
        ({"name": "mnist", "url": "file:///home/me/mnist"}, {}),
        ({"name": "hub", "repository": "../home/photos"}, {"repository": "photos"}),
        ({"name": "hub", "repository": "photos/../home/.."}, {"repository": "folder"}),
        ({"name": "arrays", "files": "..\\home\\a.npy"}, {"files": {"train": "a.npy"}}),
        (
            {"name": "arrays", "files": {"train": "a/../b.npy", "test": "here/c.npy"}},
            {"files": {"train": "b.npy", "test": "here/c.npy"}},
        ),
        ({"name": "image-folder", "root": "."}, {"root": "folder"}),
        ({"name": "image-folder", "root": "../home/.."}, {"root": "photos"}),
    ],
)
def test_places_and_secrets_stay_here(
    data: dict[str, Any],
    published: dict[str, Any],
    zoo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "photos" / "folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "photos" / "folder")
    found = Publication.of(find_preset("trained"))
    values = {**found.config.to_dict(), "data": data}
    values["model"]["image_channels"] = 1 if data["name"] == "mnist" else 3
    uri = "http://me:secret@10.0.0.1/home/me"
    values["train"]["trackers"] = [{"name": "mlflow", "tracking_uri": uri}]
    push(Publication(parse_config(values), found.weights, {}), tmp_path / "mine")
    text = (tmp_path / "mine" / "preset.yaml").read_text()
    said = yaml.safe_load(text)["data"]
    assert said.get("root") == published.get("root")
    assert published.items() <= said.items()
    for secret in ("home", "secret", "10.0.0.1"):
        assert secret not in text


def test_a_unit_is_no_path() -> None:
    values = {"dtype": "float32", "unit": "/cm", "range": [0, 1]}
    data = {"name": "arrays", "files": "a.npy", "values": values}
    config = parse_config({"likelihood": "gaussian", "data": data})
    assert without_places(config).image_values == config.image_values


def test_without_weights(zoo: Path) -> None:
    with pytest.raises(PresetError, match=r"no weights to push.*hvae train untrained"):
        Publication.of(find_preset("untrained"))


def test_figures_of_an_evaluation() -> None:
    told = {
        "dataset": "digits", "split": "test", "images": 360, "unit": "bits/dim", "elbo": -80.0,
        "bits_per_dim": 1.80051, "importance_weighted": -75.0, "importance_samples": 100,
        "importance_weighted_bits_per_dim": 1.70966,
    }  # fmt: skip
    figures = figures_of(told)
    assert figures["bits_per_dim"]["value"] == 1.8005
    assert figures["bits_per_dim"]["how"].endswith("360 test images of digits")
    assert figures["importance_weighted_bits_per_dim"]["value"] == 1.7097
    nats = figures_of({**told, "unit": "nats"})
    assert nats["nats"]["value"] == -80.0
    assert nats["importance_weighted"]["unit"] == "nats"
    with pytest.raises(PresetError, match="hvae evaluate --json"):
        figures_of({"images": 1})


def test_figures_of_completion() -> None:
    baseline = {"psnr_of_mean": 12.3456, "ssim_of_mean": 0.5}
    evaluation = {
        "dataset": "Digits", "split": "test", "images": 360, "known": 0.25, "draws": 32,
        "psnr_of_mean": 15.051, "coverage_50": 0.4821, "coverage_90": 0.8874,
        "baselines": {"mean_filled": baseline, "unadapted_encoder": baseline},
    }  # fmt: skip
    figures = figures_of(evaluation)
    assert figures["psnr_of_mean"] == {
        "value": 15.05, "unit": "dB",
        "how": "32 draws of each of 360 test images of Digits, 25% of the pixels known",
    }  # fmt: skip
    assert figures["psnr_mean_filled"]["value"] == 12.35
    assert "draws" not in figures["psnr_mean_filled"]["how"]
    assert figures["coverage_50"]["value"] == 48.2
    assert {"psnr_unadapted_encoder", "coverage_90"} < set(figures)
    with pytest.raises(PresetError, match="no figures of an evaluation"):
        figures_of({"psnr_of_mean": 1.0})
