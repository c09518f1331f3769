"""The hierarchical VAE: encoder, latent layers, readout and likelihood as one model."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hvae_core.config import Config, Precision
from hvae_core.errors import ConfigError
from hvae_core.interfaces import Flow, LayerPosterior, PassOutput, Shape3, Tensor
from hvae_core.model.decoder import Decoder
from hvae_core.model.encoder import Encoder
from hvae_core.model.readout import build_readout
from hvae_core.prob.noise import Noise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hvae_core.evaluation.elbo import Elbo


class HierarchicalVAE(keras.Model):
    """A hierarchical VAE with L latent layers (Child 2020), built and ready to use.

    ``forward`` and ``generate`` work on tensors inside a compiled function, with their noise as an
    argument; ``elbo``, ``sample``, ``reconstruct``, ``interpolate`` and ``log_likelihood`` take
    and give NumPy arrays.

    Args:
        config: the whole configuration; `model`, `likelihood`, `train.precision`, `train.remat` and
            `train.seed` (of the initial weights) are used.
        name: the model's name; not part of the names in weights files.
        precision: of the network, in place of `train.precision`.
    """

    def __init__(
        self, config: Config, name: str = "hvae", precision: Precision | None = None
    ) -> None:
        super().__init__(name=name)
        self.config = config
        options = config.model
        self.image_shape: Shape3 = options.image_shape
        self.latent_shapes: list[Shape3] = options.latent_shapes
        self.likelihood = config.likelihood.build(self.image_shape)
        # OpenVINO only runs models, on processors that gain nothing from bfloat16 layers.
        trains = keras.config.backend() != "openvino"
        chosen = (precision or config.train.precision) if trains else "float32"
        with dtype_policy(chosen), seeded(config.train.seed):
            remat = config.train.remat
            self.encoder = Encoder(options, remat)
            self.decoder = Decoder(options, remat)
            self.readout = build_readout(options, self.likelihood.parameters, remat)
            # Last, so that the others' initial weights are those of a model without it.
            attention = options.attention
            self.attention = attention.build(options, name="attention") if attention else None
            self.build()

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights; called by the constructor."""
        self.encoder.build()
        self.decoder.build()
        self.readout.build()
        if self.attention is not None:
            self.attention.build(None)
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """The likelihood's parameters at the posterior's means: uint8 image -> [B, H, W, P]."""
        rows = ops.shape(x)[0]
        zeros = [ops.zeros((rows, *shape)) for shape in self.latent_shapes]
        return self.forward(x, Noise(zeros)).parameters

    def forward(self, x: Tensor, noise: Noise | Sequence[Tensor]) -> PassOutput:
        """The posterior pass.

        Args:
            x: images [B, H, W, C], values 0 to 255.
            noise: L standard-normal arrays [B, h, w, c], coarsest layer first.
        """
        x = ops.cast(x, "float32")
        options = self.config.model
        features = self.encoder((x - options.input_mean) * (1.0 / options.input_scale))
        stream, layers = self.decoder.infer(features, noise, self.attention)
        parameters = self.readout([layer.z for layer in layers], stream)
        log_likelihood = self.likelihood.log_prob(x, parameters)
        kl = layers[0].kl
        for layer in layers[1:]:
            kl = kl + layer.kl
        return PassOutput(log_likelihood, kl, layers, parameters, features)

    @property
    def flows(self) -> list[Flow | None]:
        """The latent layers' posterior flows, coarsest layer first."""
        return [layer.flow for group in self.decoder.layers_by_stage for layer in group]

    def follow(self, features: Sequence[Tensor], latents: Sequence[Tensor]) -> list[LayerPosterior]:
        """The posteriors of images along latents that need not be theirs.

        Args:
            features: the encoder's features of the images, finest scale first.
            latents: one [B, h, w, c] a layer, coarsest first.
        """
        return self.decoder.follow(features, latents, self.attention)

    def generate(
        self,
        noise: Noise | Sequence[Tensor],
        temperature: Tensor | float = 1.0,
        given: Sequence[Tensor] | None = None,
        are_given: Tensor | None = None,
    ) -> Tensor:
        """The likelihood's parameters [B, H, W, P] at latents drawn from the prior.

        Args:
            noise: L standard-normal arrays [B, h, w, c], coarsest layer first.
            temperature: scales the priors' standard deviations; a number, or one a layer [L].
            given: latents for the first, coarsest layers, used instead of draws.
            are_given: [L], 1 where a layer's ``noise`` is itself the latent to use, else 0: what
                ``given`` says by its length, in-graph.
        """
        stream, latents = self.decoder.generate(
            noise, temperature, given, self.attention, are_given
        )
        return self.readout(latents, stream)

    def elbo(
        self,
        x: np.ndarray,
        noise: Sequence[np.ndarray] | None = None,
        seed: int = 0,
        batch_size: int = 32,
    ) -> Elbo:
        """The evidence lower bound of images, see `hvae_core.evaluation.elbo.elbo`."""
        from hvae_core.evaluation.elbo import elbo

        return elbo(self, x, noise=noise, seed=seed, batch_size=batch_size)

    def log_likelihood(
        self, x: np.ndarray, importance_samples: int = 100, seed: int = 0, **options: Any
    ) -> np.ndarray:
        """The importance-weighted bound [B] in nats (Burda et al. 2016)."""
        from hvae_core.evaluation.importance import log_likelihood

        return log_likelihood(self, x, importance_samples, seed, **options)

    def sample(
        self,
        n: int,
        temperature: float | Sequence[float] | None = 1.0,
        seed: int = 0,
        noise: Sequence[np.ndarray] | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Images uint8 [n, H, W, C] from the prior."""
        from hvae_core.inference.sampling import sample

        return sample(self, n, temperature, seed, noise, batch_size)

    def reconstruct(
        self,
        x: np.ndarray,
        latents: int | None = None,
        seed: int = 0,
        temperature: float | Sequence[float] | None = 1.0,
        **options: Any,
    ) -> np.ndarray:
        """Images from the first ``latents`` posteriors, the rest from the prior."""
        from hvae_core.inference.reconstruction import reconstruct

        return reconstruct(self, x, latents, seed, temperature, **options)

    def interpolate(
        self, a: np.ndarray, b: np.ndarray, steps: int = 8, **options: Any
    ) -> np.ndarray:
        """Images between two images, uint8 [steps, H, W, C]."""
        from hvae_core.inference.interpolation import interpolate

        return interpolate(self, a, b, steps, **options)

    def save(self, folder: str | Path, **options: Any) -> Path:
        """Write a preset folder: ``preset.yaml``, ``model.safetensors`` and a model card."""
        from hvae_core.zoo import save_model

        return save_model(self, Path(folder), **options)

    def export(
        self, folder: str | Path, format: str = "openvino", precision: str = "float32"
    ) -> dict[str, Any]:
        """Write the model for a runtime, see `hvae_core.exporting.export_model`."""
        from hvae_core.exporting import export_model

        return export_model(self, folder, format, precision)

    def check_images(self, shape: Sequence[int]) -> None:
        """Refuse images of another shape.

        Raises:
            ConfigError: ``shape`` [..., H, W, C] does not end in the model's image shape.
        """
        if tuple(shape[-3:]) != tuple(self.image_shape):
            raise ConfigError(
                f"The images have shape {list(shape[-3:])} but the model expects "
                f"{list(self.image_shape)}.",
                "Set model.resolutions, model.patch_size and model.image_channels, or the "
                "data set's size options.",
            )


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made inside compute in this precision; restores the global policy after."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights made inside follow ``seed``; restores Python's generator after."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
