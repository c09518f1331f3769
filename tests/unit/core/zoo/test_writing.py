from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import yaml

from hvae_core.errors import BadInputError, HvaeError, PresetError
from hvae_core.zoo import find_preset, read_preset, verify, write_preset, writing
from hvae_core.zoo.cards import model_card


def weights_of(zoo: Path) -> Path:
    return zoo / "trained" / "model.safetensors"


def test_what_is_written_verifies(zoo: Path, tmp_path: Path) -> None:
    config = find_preset("trained").config
    preset = write_preset(
        tmp_path / "new" / "mine",
        config,
        weights_of(zoo),
        figures={"bits_per_dim": 4.5},
        info={"licence": "MIT", "weights": {"sources": ["https://h/model.safetensors"]}},
    )
    report = verify(preset)
    assert (report.tensors, report.parameters, report.recorded) == (1, 6, True)
    assert find_preset(preset.folder).config == config
    assert preset.weights.sources == ("https://h/model.safetensors",)
    assert preset.info["licence"] == "MIT"


def test_nothing_is_overwritten_unasked(zoo: Path, tmp_path: Path) -> None:
    config = find_preset("trained").config
    with pytest.raises(PresetError, match="exists already"):
        write_preset(zoo / "trained", config)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(PresetError, match="holds other files"):
        write_preset(tmp_path / "other", config, overwrite=True)
    with pytest.raises(PresetError, match="it is a file"):
        write_preset(tmp_path / "other" / "thesis.tex", config, overwrite=True)


def test_a_folder_that_cannot_be(zoo: Path, tmp_path: Path) -> None:
    """A name that is too long, or below a file; a link to itself is none and can become one."""
    config = find_preset("trained").config
    with pytest.raises(BadInputError, match=r"Cannot write the preset .*too long"):
        write_preset(tmp_path / "new" / ("a" * 300), config, info={"name": "mine"})
    (tmp_path / "letter").write_text("mine")
    for name in ("letter", "letter/mine", "letter/a/mine"):
        with pytest.raises(PresetError, match=r"letter\S* is a file, not a folder|it is a file"):
            write_preset(tmp_path / name, config, info={"name": "mine"})
    (tmp_path / "circle").symlink_to("circle")
    assert write_preset(tmp_path / "circle", config).name == "circle"


def test_overwriting_keeps_the_users_files(zoo: Path) -> None:
    (zoo / "trained" / "notes.txt").write_text("mine")
    preset = write_preset(zoo / "trained", find_preset("trained").config, overwrite=True)
    assert (zoo / "trained" / "notes.txt").read_text() == "mine"
    assert preset.weights_path is None
    assert {path.name for path in zoo.iterdir()} == {"trained", "untrained"}


def test_overwriting_keeps_links_as_links(zoo: Path, tmp_path: Path) -> None:
    """What they lead to is not copied, and it need not be there."""
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "images").write_text("many")
    places = {
        "data": str(tmp_path / "large"),
        "images": str(tmp_path / "large" / "images"),
        "gone": "/nowhere/x",
        "beside": "../untrained",
        "notes/gone": "x",
    }
    (zoo / "trained" / "notes").mkdir()
    for name, place in places.items():
        (zoo / "trained" / name).symlink_to(place)
    write_preset(zoo / "trained", find_preset("trained").config, overwrite=True)
    assert {name: os.readlink(zoo / "trained" / name) for name in places} == places


def test_a_failure_leaves_the_older_preset(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    before = weights_of(zoo).read_bytes()
    with pytest.raises(HvaeError, match="No space left on device"):
        write_preset(zoo / "trained", find_preset("trained").config, full, overwrite=True)
    monkeypatch.setattr(writing, "model_card", lambda preset: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_preset(zoo / "trained", find_preset("trained").config, overwrite=True)
    assert weights_of(zoo).read_bytes() == before
    assert {path.name for path in zoo.iterdir()} == {"trained", "untrained"}


def test_an_unknown_key_is_refused(zoo: Path, tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="no key 'license'"):
        write_preset(tmp_path / "x", find_preset("trained").config, info={"license": "MIT"})


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:-1] + b"x"])
def test_verify_notices_other_weights(zoo: Path, change) -> None:  # type: ignore[no-untyped-def]
    weights_of(zoo).write_bytes(change(weights_of(zoo).read_bytes()))
    with pytest.raises(PresetError, match="not those recorded") as caught:
        verify("trained")
    assert caught.value.exit_code == 2


def test_verify_without_weights(zoo: Path) -> None:
    with pytest.raises(PresetError, match=r"no weights.*hvae train untrained"):
        verify("untrained")


def test_verify_weights_of_another_format(zoo: Path) -> None:
    weights_of(zoo).write_bytes(b"something else")
    path = zoo / "trained" / "preset.yaml"
    info = yaml.safe_load(path.read_text())
    del info["weights"]
    path.write_text(yaml.safe_dump(info))
    with pytest.raises(PresetError, match="not a safetensors file"):
        verify("trained")


def test_the_card_says_what_is_known(zoo: Path) -> None:
    card = (zoo / "trained" / "README.md").read_text()
    assert "| bits/dim | 3.25 | 10 test images |" in card
    assert "| 4x4 | 8 | 32, 32 | 3 | 3 | 4x4x16 |" in card
    assert "6 parameters" in card
    assert 'hvae.load("trained")' in card
    assert "![Samples]" not in card
    assert "hvae train untrained" in model_card(find_preset("untrained"))


def test_the_card_says_how_to_use_a_condition_and_a_measurement(tmp_path: Path) -> None:
    model = {"resolutions": [8, 4, 1], "image_channels": 1, "width": 8}
    label = {"condition": {"name": "label", "classes": 3}}
    vector = {"condition": {"name": "vector", "size": 2}}
    measured = {"measurement": "columns:0.5", "train": {"objective": "partial-posterior"}}
    texts = {
        name: (write_preset(tmp_path / name, {"model": {**model, **more}, **rest}).folder)
        for name, more, rest in (("l", label, {}), ("v", vector, {}), ("m", {}, measured))
    }
    cards = {name: model_card(read_preset(folder)) for name, folder in texts.items()}
    assert "-n 4 --condition all" in cards["l"]
    assert "model.sample(16, condition=0, seed=0)" in cards["l"]
    assert "- Condition: label (classes 3" in cards["l"]
    assert "--condition 0,0" in cards["v"]
    assert "model.sample(16, condition=[0.0, 0.0], seed=0)" in cards["v"]
    assert "hvae complete runs/m -n 8" in cards["m"]
    assert "model.posterior_sample(" in cards["m"]
    assert "- Measurement: columns (known 0.5" in cards["m"]
    assert "objective partial-posterior, " in cards["m"]
