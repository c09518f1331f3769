"""Uploaded images, and the models that the page offers."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from hvae_core.errors import DataError, HvaeError
from hvae_core.explore import models as models_module
from hvae_core.explore import uploads
from hvae_core.explore.models import Models, describe
from hvae_core.explore.uploads import read_upload


def saved(folder, image, name="photo.png"):
    image.save(folder / name)
    return str(folder / name)


@pytest.mark.parametrize(
    ("mode", "size", "shape", "note"),
    [
        ("RGB", (32, 32), (32, 32, 3), ""),
        ("L", (8, 8), (8, 8, 1), ""),
        ("RGB", (64, 48), (32, 32, 3), "Cropped from 64x48 to 48x48, resized to 32x32."),
        ("RGB", (16, 16), (8, 8, 1), "Resized to 8x8, turned grey."),
        ("I;16", (8, 8), (8, 8, 1), "Brought from 16 bits to 8."),
        (
            *("RGBA", (20, 10), (10, 10, 3)),
            "Transparent pixels laid on white. Cropped from 20x10 to 10x10.",
        ),
    ],
)
def test_what_is_done_to_an_image_is_said(mode, size, shape, note, tmp_path):
    path = saved(tmp_path, Image.new(mode, size))
    fitted = read_upload(path, shape, "an image")
    assert (fitted.note, fitted.pixels.shape, fitted.pixels.dtype) == (note, shape, np.uint8)


def test_the_middle_is_kept(tmp_path):
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    fitted = read_upload(saved(tmp_path, Image.fromarray(pixels)), (10, 10, 3), "an image")
    assert (fitted.pixels == 200).all()


def test_what_is_refused(tmp_path, monkeypatch):
    (tmp_path / "noise.png").write_bytes(b"\x89PNG but not really")
    whole = saved(tmp_path, Image.fromarray(np.random.default_rng(0).integers(
        0, 255, (64, 64, 3), np.uint8)))  # fmt: skip
    cut = tmp_path / "cut.png"
    cut.write_bytes((tmp_path / "photo.png").read_bytes()[:2000])
    for path, match in (
        (None, "Upload the first image first"),
        (str(tmp_path / "noise.png"), "The first image cannot be read as an image"),
        (str(cut), "The first image cannot be read as an image"),
    ):
        with pytest.raises(DataError, match=match):
            read_upload(path, (8, 8, 3), "the first image")
    monkeypatch.setattr(uploads, "MAX_PIXELS", 64 * 63)
    with pytest.raises(DataError, match="has 64x64 pixels; at most 4,032"):
        read_upload(whole, (8, 8, 3), "the first image")
    monkeypatch.setattr(uploads, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="MB are accepted"):
        read_upload(whole, (8, 8, 3), "the first image")


def test_a_stack_is_refused_before_its_pages_are_decoded(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "stack.tif"
    pages = np.zeros((64, 512, 512), np.uint8)
    tifffile.imwrite(path, pages, compression="zlib", photometric="minisblack")
    assert path.stat().st_size < uploads.MAX_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="The first image is a TIFF file of 64 images"):
            read_upload(str(path), (8, 8, 1), "the first image")
        assert tracemalloc.get_traced_memory()[1] < pages.nbytes / 4
    finally:
        tracemalloc.stop()


def test_presets_without_weights_are_not_offered():
    names = models_module.presets_with_weights()
    assert "digits-vdvae" in names
    assert "openai-cifar10" not in names


def test_models_are_loaded_when_asked_for(monkeypatch):
    loaded = []
    monkeypatch.setattr("hvae_core.api.load", lambda name: loaded.append(name) or object())
    monkeypatch.setattr(models_module, "presets_with_weights", lambda: ["a", "b", "c"])
    models = Models("b")
    assert models.names == ["b", "a", "c"]
    first = models.load("b")
    models.load("a")
    assert models.load("b") is first
    models.load("c")  # a gives way
    models.load("b")
    models.load("a")
    assert loaded == ["b", "a", "c", "a"]
    with pytest.raises(HvaeError, match="none of the models"):
        models.load("../etc")
    monkeypatch.setattr(models_module, "presets_with_weights", list)
    with pytest.raises(HvaeError, match="no preset with weights"):
        Models()


def test_a_model_in_a_line():
    import hvae_core as hvae

    line = describe("digits-vdvae", hvae.load("digits-vdvae"))
    assert "**digits-vdvae**: VDVAE of 8x8" in line
    assert "8x8 grey images, 5 latent layers at 1x1, 4x4, 8x8, 247,951 parameters" in line
