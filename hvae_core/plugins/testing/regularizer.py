"""The contract of regularizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from keras import ops

from hvae_core.backends.compiling import compiled
from hvae_core.config import Config
from hvae_core.interfaces import Dataset, DatasetInfo, ImageSource, Invariance, Regularizer, Shape3
from hvae_core.plugins.testing.component import ComponentContract
from hvae_core.prob.noise import Noise, draw_normal
from hvae_core.vae import HierarchicalVAE

MODEL = {
    "model": {
        "resolutions": [4, 1],
        "image_channels": 1,
        "width": 4,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "readout": {"width": 4, "middle_width": 4, "blocks": 0},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 1, "levels": 5},
}


class Pictures(Dataset):
    """A data set in name: its images are never read."""

    info = DatasetInfo("pictures", "nowhere", "1", "CC0-1.0")
    splits = ("train",)
    shape: Shape3 = (4, 4, 1)

    def __init__(self, invariance: Invariance) -> None:
        self.invariance = invariance

    def load(self, split: str) -> ImageSource:
        """There are none."""
        raise NotImplementedError


class RegularizerContract(ComponentContract):
    """A regularizer makes views of a batch and a term of the loss from a pass over them.

    Attributes:
        rows: images of a batch, without their copies.
        levels: values a pixel can have.
    """

    kind = "regularizer"
    rows: ClassVar[int] = 3
    levels: ClassVar[Sequence[int]] = (256, 5, 2)

    def make(self, config: dict[str, Any], levels: int = 256, **invariance: Any) -> Regularizer:
        """The regularizer, for a data set with this `Invariance`."""
        dataset = Pictures(Invariance(**invariance))
        return self.component.build(self.options(config), dataset, levels)

    def images(self, levels: int) -> np.ndarray:
        """Random images uint8 [rows, 4, 4, 1]."""
        values = np.rint(np.arange(levels) * (255 / (levels - 1))).astype(np.uint8)
        return np.random.default_rng(3).choice(values, (self.rows, 4, 4, 1))

    def test_views_are_the_images_and_then_their_copies(self, config: dict[str, Any]) -> None:
        """Uint8 [copies B, ...], the images first and unchanged, and only values a pixel has."""
        for levels in self.levels:
            for background in (None, 0):
                regularizer = self.make(config, levels, background=background, mirrored=True)
                assert isinstance(regularizer, Regularizer)
                x = self.images(levels)
                kept = x.copy()
                views = regularizer.views(x, np.random.default_rng(0))
                assert views.dtype == np.uint8
                assert views.shape == (regularizer.copies * self.rows, *x.shape[1:])
                np.testing.assert_array_equal(views[: self.rows], kept)
                np.testing.assert_array_equal(x, kept, err_msg="the images were changed in place")
                allowed = np.rint(np.arange(levels) * (255 / (levels - 1)))
                assert np.isin(views, allowed).all(), f"a pixel is none of the {levels} levels"

    def test_views_follow_the_generator(self, config: dict[str, Any]) -> None:
        """The same generator gives the same views: a resumed run sees what it would have seen."""
        regularizer, x = self.make(config), self.images(256)
        state = str(np.random.get_state())
        first, second = (regularizer.views(x, np.random.default_rng(5)) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert str(np.random.get_state()) == state, "NumPy's own random state was used"

    def _pass(self, regularizer: Regularizer) -> tuple[HierarchicalVAE, np.ndarray, np.ndarray]:
        """A model with weights far from their start, views of images, and noise [rows, N]."""
        model = HierarchicalVAE(Config.model_validate(MODEL))
        rng = np.random.default_rng(0)
        for variable in model.trainable_variables:
            value = ops.convert_to_numpy(variable.value)
            variable.assign(value + rng.normal(0.0, 0.2, value.shape).astype("f"))
        views = regularizer.views(self.images(5), np.random.default_rng(1))
        return model, views, draw_normal(model.latent_shapes, len(views), seed=0)

    def _penalty(
        self, regularizer: Regularizer, model: HierarchicalVAE, views: np.ndarray, flat: np.ndarray
    ) -> np.ndarray:
        def term(x: Any, flat: Any) -> Any:
            noise = Noise.from_flat(flat, model.latent_shapes)
            return regularizer.penalty(model.infer(x, noise), model)

        program = compiled(term, model.variables)
        out = program(ops.convert_to_tensor(views), ops.convert_to_tensor(flat))
        return np.asarray(ops.convert_to_numpy(out))

    def test_the_penalty_is_one_number_an_image(self, config: dict[str, Any]) -> None:
        """Float32 [B], finite; that of an image does not depend on the others."""
        regularizer = self.make(config, 5)
        model, views, flat = self._pass(regularizer)
        whole = self._penalty(regularizer, model, views, flat)
        assert whole.shape == (self.rows,), f"it has shape {whole.shape}, not [B]"
        assert whole.dtype == np.float32
        assert np.isfinite(whole).all()
        alone = slice(1, None, self.rows)  # the second image and its copies
        np.testing.assert_allclose(
            self._penalty(regularizer, model, views[alone], flat[alone]), whole[1:2], rtol=1e-4,
            atol=1e-5, err_msg="an image's penalty depends on other images",
        )  # fmt: skip
