"""The original VDVAE's tensors (openai/vdvae) and ours: names, layouts, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from hvae_core.errors import ConfigError
from hvae_core.importing.tensor_pairs import TensorPair, to_ours, to_theirs
from hvae_plugins.importers.openai_vdvae.configurations import ORIGINAL_MODEL

if TYPE_CHECKING:
    from hvae_core.config import Config


def tensor_pairs(config: Config) -> list[TensorPair]:
    """All tensors of a model in the original's architecture, with the original's shapes.

    Raises:
        ConfigError: ``config`` describes a network that the original does not have.
    """
    require_original(config)
    return list(_pairs(config))


#: options in which its networks differ, or that mean nothing in them; it has all others at their
#: defaults, but for those of `ORIGINAL_MODEL`
FREE = {
    "resolutions", "trained_resolutions", "image_channels", "input_mean", "input_scale", "width",
    "encoder_middle_width", "decoder_middle_width", "latent_width", "encoder_blocks",
    "decoder_blocks", "mixing_block", "no_bias_above", "block", "pool_activation", "pool_order",
    "leaky_relu_slope", "softplus_beta", "conditioning",
}  # fmt: skip


def require_original(config: Config) -> None:
    """Refuse what the original VDVAE cannot express.

    Raises:
        ConfigError: an option has another value than the original's.
    """
    model = config.model
    wanted = {
        **ORIGINAL_MODEL, "patch_size": 1, "norm": "none", "conv": "dense", "readout": "features",
    }  # fmt: skip
    block = model.block_with_options.options
    for key, value in wanted.items():
        if key in ("norm", "conv"):  # which the block may have been given itself
            actual = getattr(block, key, getattr(model, key))
        else:
            actual = model.readout.kind if key == "readout" else getattr(model, key)
        if actual != value:
            raise ConfigError(
                f"model.{key} is {actual}; the original VDVAE's checkpoints have {value}."
            )
    for key, field in type(model).model_fields.items():
        if key in wanted or key in FREE:
            continue
        actual, default = getattr(model, key), field.default
        if actual not in (default, [default] * len(model.resolutions)):
            raise ConfigError(
                f"model.{key} is {getattr(actual, 'name', actual)}; the original VDVAE's "
                f"checkpoints have {'none' if default is None else default}."
            )
    if model.readout.kernel_size or not model.readout.gain or not getattr(block, "pointwise", True):
        raise ConfigError(
            "model.readout or model.block has other convolutions than the original VDVAE's "
            "checkpoints."
        )
    if len(set(model.sizes)) < len(model.sizes):
        raise ConfigError("model.resolutions has a size twice, which the original VDVAE cannot.")
    if any(height != width for height, width in model.sizes):
        raise ConfigError(
            f"model.resolutions is {model.resolutions}; the original VDVAE's checkpoints have "
            "square ones."
        )
    if model.trained_resolutions is not None:
        raise ConfigError(
            "The model is at another size than its weights were trained at, which the original "
            "VDVAE's checkpoints cannot be.",
            "Export the model at its own size.",
        )
    for section, component, name in (
        ("model.block", model.block, "bottleneck"),
        ("likelihood", config.likelihood, "logistic-mixture"),
    ):
        if component.name != name:
            raise ConfigError(
                f"{section} is {component.name}; the original VDVAE's checkpoints have {name}."
            )


def from_original(tensors: Mapping[str, np.ndarray], config: Config) -> dict[str, np.ndarray]:
    """The original's tensors under our names and in our layouts.

    Raises:
        WeightsError: a tensor is missing, unexpected or of another shape.
    """
    hint = "Give --config the configuration that it was trained with."
    return to_ours(tensors, tensor_pairs(config), hint)


def to_original(arrays: Mapping[str, np.ndarray], config: Config) -> dict[str, np.ndarray]:
    """Our weights under the original's names and in its layouts, the inverse of `from_original`.

    Raises:
        ConfigError: the model is none of the original's architecture.
        WeightsError: a weight is missing, of another shape, or has no place in the original.
    """
    return to_theirs(arrays, tensor_pairs(config))


def _convolution(original: str, name: str, kernel: tuple[int, int, int]) -> Iterator[TensorPair]:
    """Kernel and bias; ``kernel`` is its side, channels in and channels out."""
    side, inputs, outputs = kernel
    yield TensorPair(
        f"{original}.weight", f"{name}.kernel", (outputs, inputs, side, side), "kernel"
    )
    yield TensorPair(f"{original}.bias", f"{name}.bias", (outputs,), "vector")


def _block(
    original: str, name: str, side: int, widths: tuple[int, int, int]
) -> Iterator[TensorPair]:
    """A bottleneck block; ``widths`` are its channels in, in the middle and out."""
    inputs, middle, outputs = widths
    kernels = [(1, inputs, middle), (side, middle, middle), (side, middle, middle)]
    for index, kernel in enumerate([*kernels, (1, middle, outputs)], start=1):
        yield from _convolution(f"{original}.c{index}", f"{name}.conv{index}", kernel)


def _pairs(config: Config) -> Iterator[TensorPair]:
    model = config.model
    finest = model.stages[0]
    yield from _convolution(
        "encoder.in_conv", "encoder.stem", (3, model.image_channels, finest.width)
    )
    index = 0
    for stage in model.stages:
        widths = (stage.width, stage.encoder_middle_width, stage.width)
        for _ in range(stage.encoder_blocks):
            original, name = f"encoder.enc_blocks.{index}", f"encoder.blocks.{index}"
            yield from _block(original, name, stage.kernel_size, widths)
            index += 1
    index = 0
    for stage in reversed(model.stages):
        width, middle, latent = stage.width, stage.decoder_middle_width, stage.latent_width
        parts = {
            "enc": ("posterior", (2 * width, middle, 2 * latent)),
            "prior": ("prior", (width, middle, 2 * latent + width)),
            "resnet": ("residual", (width, middle, width)),
        }
        for _ in range(stage.decoder_blocks):
            original, name = f"decoder.dec_blocks.{index}", f"decoder.blocks.{index}"
            for theirs, (ours, widths) in parts.items():
                yield from _block(
                    f"{original}.{theirs}", f"{name}.{ours}", stage.kernel_size, widths
                )
            yield from _convolution(f"{original}.z_proj", f"{name}.projection", (1, latent, width))
            index += 1
    biased = [stage for stage in reversed(model.stages) if stage.learned_bias]
    for index, stage in enumerate(biased):
        side = stage.resolution
        shape = (1, stage.width, side, side)
        yield TensorPair(f"decoder.bias_xs.{index}", f"decoder.bias.{side}", shape, "map")
    for part in ("gain", "bias"):
        shape = (1, finest.width, 1, 1)
        yield TensorPair(f"decoder.{part}", f"readout.{part}", shape, "channels")
    mixtures = config.likelihood.options.mixtures
    channels = model.image_channels
    outputs = mixtures * (1 + 3 * channels)
    yield from _convolution("decoder.out_net.out_conv", "readout.out", (1, finest.width, outputs))
