from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hvae_core.errors import BadInputError, ConfigError, PresetError
from hvae_core.zoo import find_preset, list_presets, preset_summary, pull, read_preset
from hvae_core.zoo.finding import find_configuration, find_source, find_weights_file


def test_listing(zoo: Path) -> None:
    assert list_presets() == ["trained", "untrained"]
    assert list_presets("un*") == ["untrained"]


def test_summary_is_read_from_the_yaml_alone(zoo: Path) -> None:
    summary = preset_summary("trained")
    assert summary["bits_per_dim"] == 3.25
    assert summary["data"] == "digits"
    assert summary["parameters"] == 6
    assert summary["weights"] == "installed"
    assert preset_summary("untrained")["weights"] == "none"


def test_an_unknown_name_gets_the_nearest(zoo: Path) -> None:
    with pytest.raises(PresetError, match=r"no preset named 'traned'. Did you mean 'trained'\?"):
        find_preset("traned")


def test_a_folder_or_its_weights_file_is_found(zoo: Path) -> None:
    for source in (zoo / "trained", str(zoo / "trained"), zoo / "trained" / "model.safetensors"):
        preset = find_preset(source)
        assert preset.name == "trained"
        assert preset.weights_path == zoo / "trained" / "model.safetensors"
        assert preset.origin == "folder"
    assert find_preset(preset) is preset


def test_a_folder_beside_the_user_is_found_by_name(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(zoo / "trained", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_preset("mine").folder == Path("mine")


def test_the_configuration_is_typed(zoo: Path) -> None:
    assert find_preset("trained").config.model.latent_shapes[0] == (1, 1, 16)


def test_a_bad_key_names_the_file(zoo: Path) -> None:
    path = zoo / "trained" / "preset.yaml"
    path.write_text(path.read_text().replace("resolutions", "resolution"))
    with pytest.raises(ConfigError, match=r"preset.yaml: .*resolution"):
        _ = find_preset("trained").config


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("a: [", "line 1 is not valid YAML"),
        ("- 1", "holds a list"),
        ("", "is empty"),
        ("name: ../x", "cannot be a preset's name"),
        ("weights: 3", "must be a mapping"),
        ("weights: {sha256: 12}", "64 hexadecimal digits"),
        ("weights: {size: -1}", "number of bytes"),
        ("weights: {sources: x}", "list of addresses"),
    ],
)
def test_a_malformed_preset(tmp_path: Path, content: str, match: str) -> None:
    (tmp_path / "preset.yaml").write_text(content)
    with pytest.raises(PresetError, match=match) as caught:
        _ = read_preset(tmp_path).weights
    assert "preset.yaml" in caught.value.message


def test_places_without_a_preset(zoo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.safetensors").write_text("")
    for source, match in (
        (tmp_path / "empty", "no preset.yaml"),
        (tmp_path / "none", "no preset at"),
        (tmp_path / "other.safetensors", "named model.safetensors"),
    ):
        with pytest.raises(PresetError, match=match):
            find_preset(source)


@pytest.mark.parametrize("find", [find_preset, find_source, find_weights_file, pull])
@pytest.mark.parametrize("source", ["~nosuchuser/x", "~nosuchuser", Path("~nosuchuser") / "x"])
def test_the_home_of_no_user(zoo: Path, find: Callable[..., object], source: str | Path) -> None:
    with pytest.raises(PresetError, match="begins with '~nosuchuser', but there is no user") as it:
        find(source)
    assert it.value.hint.endswith("./~nosuchuser")


def test_a_folder_named_like_the_home_of_no_user(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(zoo / "trained", "./~nosuchuser/x")
    assert find_preset("./~nosuchuser/x").folder == Path("~nosuchuser/x")


@pytest.mark.parametrize(
    "find", [find_preset, find_source, find_configuration, find_weights_file, pull]
)
@pytest.mark.parametrize(
    "source",
    ["a" * 300, "ä" * 200, "./" + "a" * 300, "a/" * 2500, "a" * 300 + ".safetensors",
     "a" * 250 + "/" + "b" * 260, Path("a" * 300), "hf://owner/" + "a" * 300],
    ids=lambda source: str(source)[:8],
)  # fmt: skip
def test_a_name_that_is_too_long_is_that_of_nothing(
    zoo: Path, find: Callable[..., object], source: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    said = "There is no (preset|file)|is not on this machine|File name too long"
    with pytest.raises(BadInputError, match=said):
        find(source)


@pytest.mark.parametrize("address", ["hf://owner/name", "https://host/p"])
def test_an_address_is_never_loaded_from(zoo: Path, address: str) -> None:
    with pytest.raises(PresetError, match=f"hvae zoo pull {address}"):
        find_preset(address)
