"""The presets that come with hvae are read as a user would read them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hvae_zoo
import pytest

from hvae_core.weights.tensors import read_header
from hvae_core.zoo import read_preset, verify
from hvae_core.zoo.cards import model_card

FOLDERS = sorted(path.parent for path in Path(hvae_zoo.__file__).parent.glob("*/preset.yaml"))


def test_they_are_found() -> None:
    assert {"digits-vdvae", "cifar10-vdvae-small", "cifar10-vdvae"} <= {f.name for f in FOLDERS}
    assert hvae_zoo.hvae_component().build() == FOLDERS[0].parent


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_is_valid(folder: Path) -> None:
    preset = read_preset(folder)
    assert preset.name == folder.name
    assert preset.summary
    assert preset.licence
    assert preset.config.model.latent_shapes
    if preset.weights_path is not None:
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert card == model_card(preset), "run: python docs/make_cards.py"
        assert "--weights PRESET" not in card, "name it in trained.start"
        assert verify(preset).recorded
        assert read_header(preset.weights_path).metadata["preset"] == preset.name
        start = (preset.info.get("trained") or {}).get("start")
        assert start in (None, *(each.name for each in FOLDERS))


@pytest.mark.parametrize(
    "folder", [f for f in FOLDERS if f.name.startswith("digits")], ids=lambda folder: folder.name
)
def test_the_card_s_figure_is_what_an_evaluation_gives(folder: Path) -> None:
    pytest.importorskip("sklearn")
    from hvae_core import evaluate

    printed = read_preset(folder).figures["bits_per_dim"]["value"]
    assert evaluate(folder)["bits_per_dim"] == pytest.approx(printed, abs=0.000051)


def test_the_full_cifar10_model_has_the_published_layers() -> None:
    model = read_preset(Path(hvae_zoo.__file__).parent / "openai-cifar10").config.model
    assert len(model.latent_shapes) == 43
    assert sum(stage.encoder_blocks for stage in model.stages) == 33
    assert sum(h * w * c for h, w, c in model.latent_shapes) == 412_432


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hvae_core.zoo import list_presets, preset_summary;"
        "[preset_summary(n) for n in list_presets()];"
        "heavy = {'keras', 'numpy', 'pydantic', 'tensorflow', 'jax', 'torch', 'urllib.request'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
