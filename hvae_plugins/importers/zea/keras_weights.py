"""zea's arrays, in Keras's HDF5 format, and ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.config import Config, StageConfig
from hvae_core.errors import MissingDependencyError, WeightsError

#: the weight of the KL, which zea keeps among the weights
BETA = "vars/0"
#: random states, of no use here
_IGNORED = "seed_generator"
_CONVOLUTIONS = ("c1", "c2", "c3", "c4")

Shape = tuple[int, ...]


def numbered(name: str, number: int) -> str:
    """Keras's name of the n-th object of its kind: block, block_1, ..."""
    return f"{name}_{number}" if number else name


def layers(config: Config) -> Iterator[tuple[str, Shape]]:
    """Zea's convolutions and their kernels' shapes: what a file of these arguments holds."""
    model, stages = config.model, config.model.stages
    outer = model.outer_kernel_size
    finest, readout = stages[0], model.readout
    yield "encoder/first_conv", (outer, outer, model.image_channels, finest.width)
    for number, stage in enumerate(stages):
        prefix = f"encoder/stages/layers/{numbered('encoder_stage', number)}"
        for place in range(stage.encoder_blocks):
            block = f"{prefix}/blocks/layers/{numbered('block', place)}"
            yield from _block(
                block, stage.kernel_size, stage.width, stage.encoder_middle_width, stage.width
            )
        if number + 1 < len(stages) and stages[number + 1].width != stage.width:
            yield f"{prefix}/pool/c1", (1, 1, stage.width, stages[number + 1].width)
    coarse_first = stages[::-1]
    ends = last_stage(config)
    for number, stage in enumerate(coarse_first):
        prefix = f"decoder/stages/layers/{numbered('decoder_stage', number)}"
        width, latent, middle = stage.width, stage.latent_width, stage.decoder_middle_width
        for place in range(stage.decoder_blocks):
            block = f"{prefix}/blocks/layers/{numbered('dec_block', place)}"
            kernel = stage.kernel_size
            yield from _block(f"{block}/p", kernel, width, middle, 2 * latent + width)
            yield from _block(f"{block}/q", kernel, 2 * width, middle, 2 * latent)
            yield f"{block}/z_out_f", (1, 1, latent, finest.width)
            # The last block of the finest scale has no way into the stream.
            is_last = number == ends == len(stages) - 1 and place == stage.decoder_blocks - 1
            if not is_last:
                yield f"{block}/z_proj", (1, 1, latent, width)
                yield from _block(f"{block}/res", kernel, width, middle, width)
        if number + 1 < len(stages) and coarse_first[number + 1].width != width:
            yield f"{prefix}/pool/c1", (1, 1, width, coarse_first[number + 1].width)
    yield "decoder/z_to_features", (1, 1, finest.width, readout.width)
    for place in range(readout.blocks):
        block = f"decoder/output_blocks/layers/{numbered('block', place)}"
        yield from _block(
            block, finest.kernel_size, readout.width, readout.middle_width, readout.width
        )
    mixtures = config.likelihood.options.mixtures
    # One channel has coefficients too, which nothing reads.
    outputs = mixtures * (3 * model.image_channels + 1)
    yield "decoder/last_conv", (outer, outer, readout.width, outputs)


def _block(
    prefix: str, kernel: int, width: int, middle: int, out_width: int
) -> Iterator[tuple[str, Shape]]:
    yield f"{prefix}/c1", (1, 1, width, middle)
    yield f"{prefix}/c2", (kernel, kernel, middle, middle)
    yield f"{prefix}/c3", (kernel, kernel, middle, middle)
    yield f"{prefix}/c4", (1, 1, middle, out_width)


def last_stage(config: Config) -> int:
    """The place of the finest scale that has latent layers, counted from the coarsest."""
    counts = [stage.decoder_blocks for stage in reversed(config.model.stages)]
    return max(place for place, count in enumerate(counts) if count)


def shapes(config: Config) -> dict[str, Shape]:
    """The shape of every array of a file, by its name."""
    found: dict[str, Shape] = {}
    for name, shape in layers(config):
        found[f"{name}/vars/0"] = shape
        found[f"{name}/vars/1"] = shape[-1:]
    if config.model.top == "learned":
        coarsest = config.model.stages[-1]
        side = coarsest.resolution
        found["decoder/vars/0"] = (1, side, side, coarsest.width)
    return found


def read_arrays(path: Path, config: Config) -> dict[str, np.ndarray]:
    """The arrays of a weights file, which has to hold those of this configuration and no other.

    Raises:
        WeightsError: the file is damaged, or another configuration's.
        MissingDependencyError: h5py, which comes with Keras, is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError(
            "Reading zea's weights needs h5py.", "Install it with: pip install h5py"
        ) from None
    expected = shapes(config)
    try:
        with h5py.File(path, "r") as file:
            found = _datasets(file, h5py)
            _check(path, found, expected)
            return {name: np.asarray(found[name][()], np.float32) for name in expected}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} is no HDF5 file of weights, or it is damaged.",
            "Download it again, or copy it from where zea reads it.",
        ) from error


def _datasets(file: Any, h5py: Any) -> dict[str, Any]:
    """The arrays by name, without links to anywhere else, which ``visititems`` passes over."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and name != BETA and _IGNORED not in name:
            found[name] = item

    file.visititems(visit)
    return found


def _check(path: Path, found: Mapping[str, Any], expected: Mapping[str, Shape]) -> None:
    """Refuse arrays that are not those expected, before any is read."""
    missing = [name for name in expected if name not in found]
    further = [name for name in found if name not in expected]
    for names, what in ((missing, "lacks"), (further, "has, unexpectedly,")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise WeightsError(
                f"{path} {what} {names[0][:120]!r}{more}.",
                "It belongs to other arguments than those of args.pkl.",
            )
    for name, shape in expected.items():
        array = found[name]
        if array.is_virtual or array.external or array.dtype.kind != "f":
            raise WeightsError(f"{path}: {name!r} holds no plain numbers of its own.")
        if tuple(array.shape) != shape:
            raise WeightsError(
                f"{path}: {name!r} has shape {list(array.shape)}; expected {list(shape)}.",
                "It belongs to other arguments than those of args.pkl.",
            )


def from_zea(arrays: Mapping[str, np.ndarray], config: Config) -> dict[str, np.ndarray]:
    """Our arrays of zea's.

    A transition that is no convolution there, where widths are equal, is the identity here. Its
    two linear maps from a latent to the features are one here.

    Args:
        arrays: of `read_arrays`.
        config: the configuration.
    """
    model, stages = config.model, config.model.stages
    result: dict[str, np.ndarray] = {}

    def put(ours: str, kernel: np.ndarray, bias: np.ndarray) -> None:
        result[f"{ours}.kernel"], result[f"{ours}.bias"] = kernel, bias

    def layer(name: str) -> tuple[np.ndarray, np.ndarray]:
        return arrays[f"{name}/vars/0"], arrays[f"{name}/vars/1"]

    def block(ours: str, theirs: str) -> None:
        for number, name in enumerate(_CONVOLUTIONS, 1):
            put(f"{ours}.conv{number}", *layer(f"{theirs}/{name}"))

    def transition(ours: str, theirs: str, width: int) -> None:
        if f"{theirs}/vars/0" in arrays:
            put(ours, *layer(theirs))
        else:
            put(ours, np.eye(width, dtype=np.float32)[None, None], np.zeros(width, np.float32))

    put("encoder.stem", *layer("encoder/first_conv"))
    built = 0
    for number, stage in enumerate(stages):
        prefix = f"encoder/stages/layers/{numbered('encoder_stage', number)}"
        for place in range(stage.encoder_blocks):
            block(f"encoder.blocks.{built}", f"{prefix}/blocks/layers/{numbered('block', place)}")
            built += 1
        if number + 1 < len(stages):
            coarser = stages[number + 1]
            ours = f"encoder.transitions.{coarser.resolution}.projection"
            transition(ours, f"{prefix}/pool/c1", coarser.width)
    _decoder(config, arrays, put, layer, block, transition)
    if model.top == "learned":
        result[f"decoder.bias.{stages[-1].resolution}"] = arrays["decoder/vars/0"]
    width = model.readout.width
    identity = np.eye(width, dtype=np.float32)[None, None]
    put("readout.mix", identity, layer("decoder/z_to_features")[1])
    for place in range(model.readout.blocks):
        block(f"readout.blocks.{place}", f"decoder/output_blocks/layers/{numbered('block', place)}")
    kernel, bias = layer("decoder/last_conv")
    if model.image_channels == 1:
        kept = 3 * config.likelihood.options.mixtures
        kernel, bias = kernel[..., :kept], bias[:kept]
    put("readout.out", kernel, bias)
    return result


def _decoder(
    config: Config,
    arrays: Mapping[str, np.ndarray],
    put: Any,
    layer: Any,
    block: Any,
    transition: Any,
) -> None:
    """The decoder's blocks, and the readout's projections of their latents."""
    coarse_first: list[StageConfig] = list(reversed(config.model.stages))
    ends, depth = last_stage(config), len(config.model.latent_shapes)
    to_features = arrays["decoder/z_to_features/vars/0"][0, 0].astype(np.float64)
    built = 0
    for number, stage in enumerate(coarse_first[: ends + 1]):
        prefix = f"decoder/stages/layers/{numbered('decoder_stage', number)}"
        kernels, bias = [], np.zeros(to_features.shape[1])
        for place in range(stage.decoder_blocks):
            theirs = f"{prefix}/blocks/layers/{numbered('dec_block', place)}"
            ours = f"decoder.blocks.{built}"
            built += 1
            block(f"{ours}.posterior", f"{theirs}/q")
            block(f"{ours}.prior", f"{theirs}/p")
            if built == depth:  # where our stream ends
                used = 2 * stage.latent_width
                kernel, shift = layer(f"{theirs}/p/c4")
                put(f"{ours}.prior.conv4", kernel[..., :used], shift[:used])
            else:
                put(f"{ours}.projection", *layer(f"{theirs}/z_proj"))
                block(f"{ours}.residual", f"{theirs}/res")
            kernel, shift = layer(f"{theirs}/z_out_f")
            kernels.append(kernel[0, 0] @ to_features)
            bias += shift @ to_features
        if kernels:
            joined = np.concatenate(kernels)[None, None].astype(np.float32)
            put(f"readout.projections.{stage.resolution}", joined, bias.astype(np.float32))
        if number < ends:
            finer = coarse_first[number + 1]
            ours = f"decoder.transitions.{finer.resolution}.projection"
            transition(ours, f"{prefix}/pool/c1", finer.width)
