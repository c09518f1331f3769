"""The contracts between the hierarchy and its parts, and the typed outputs they return.

Keras-free: a data set or a likelihood can be described without a backend. Components with
weights derive from the contract and from `keras.layers.Layer`::

    class Planar(Flow, keras.layers.Layer): ...

Shapes are channels-last: B batch, H height, W width, C channels. Densities are in nats, float32.
A component's builder gets its validated options first, then what its contract's docstring lists.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np

Tensor = Any
Shape3 = tuple[int, int, int]


class GaussianParameters(NamedTuple):
    """A diagonal Gaussian: ``mean`` and ``log_std``, both [B, H, W, C] in float32."""

    mean: Tensor
    log_std: Tensor


class FlowOutput(NamedTuple):
    """A transformed latent ``z`` [B, H, W, C] and its ``log_det`` [B] in nats."""

    z: Tensor
    log_det: Tensor


class LatentOutput(NamedTuple):
    """What one latent layer returns.

    ``z`` [B, H, W, C] is the latent after any flow; ``kl`` [B] in nats is analytic without a flow
    and the estimate ``log q(z_0|x) - log_det - log p(z)`` with one; ``log_det`` [B] is 0 without;
    ``noise`` is what z_0 was drawn with.
    """

    z: Tensor
    kl: Tensor
    log_det: Tensor
    posterior: GaussianParameters
    prior: GaussianParameters
    noise: Tensor

    @property
    def log_ratio(self) -> Tensor:
        """``log p(z) - log q(z|x)`` [B] at the drawn z, for importance weighting."""
        from hvae_core.prob import gaussian

        log_q = gaussian.standard_log_prob(self.noise, self.posterior)
        return gaussian.sum_event(gaussian.log_prob(self.z, self.prior) - log_q) + self.log_det


class PassOutput(NamedTuple):
    """A posterior pass: ``log_likelihood`` [B] and ``kl`` [B] in nats, and all it was made of.

    ``layers`` are the latent layers' outputs, coarsest first; ``parameters`` [B, H, W, P] are the
    likelihood's.
    """

    log_likelihood: Tensor
    kl: Tensor
    layers: list[LatentOutput]
    parameters: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockShape:
    """What the hierarchy tells a block.

    Args:
        resolution: side of the feature map.
        in_width: channels in.
        middle_width: channels inside the bottleneck.
        out_width: channels out.
        kernel_size: side of the spatial kernels.
        residual: whether the input is added to the output; needs equal widths.
        output_gain: the last convolution's initial weights are scaled by this; 0 makes them zero.
        activation: name of a Keras activation.
        norm: ``"none"`` or ``"group"``.
        conv: ``"dense"`` or ``"depthwise5"``.
    """

    resolution: int
    in_width: int
    middle_width: int
    out_width: int
    kernel_size: int = 3
    residual: bool = False
    output_gain: float = 1.0
    activation: str = "silu"
    norm: str = "none"
    conv: str = "dense"


class Block(abc.ABC):
    """A residual block, a Keras layer. Builder: ``(options, shape: BlockShape, name: str)``."""

    @abc.abstractmethod
    def call(self, x: Tensor) -> Tensor:
        """[B, H, W, in_width] -> [B, H, W, out_width]."""


class Flow(abc.ABC):
    """An invertible map of a latent, a Keras layer.

    Builder: ``(options, latent_shape: Shape3, context_channels: int, name: str)``. The spec's
    ``context_channels(options, latent_shape)`` says how many extra posterior channels it wants.
    """

    #: "exact", "iterative" or None where there is no inverse.
    invertible: ClassVar[Literal["exact", "iterative"] | None] = None

    @abc.abstractmethod
    def forward(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """Z [B, H, W, C] -> the same shape and log|det dz'/dz| [B] in nats, float32."""

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """The preimage of ``z``; its log_det is the *forward's*, at the preimage."""
        raise NotImplementedError(f"{type(self).__name__} declares no inverse")


class Attention(abc.ABC):
    """Attention across the layers of the hierarchy, a Keras layer with an explicit state.

    Builder: ``(options, stages: Sequence[StageConfig], name: str)``. The hierarchy hands it each
    scale's features on the way up and each block's on the way down and knows nothing of queries
    and keys. The state is a pytree of tensors.
    """

    @abc.abstractmethod
    def start(self, batch: Tensor) -> Any:
        """An empty state for a batch of this size (``batch`` is a scalar int tensor or int)."""

    @abc.abstractmethod
    def read(self, state: Any, x: Tensor, layer: str) -> Tensor:
        """What layer ``layer`` reads for its features ``x`` [B, H, W, C]; the same shape."""

    @abc.abstractmethod
    def write(self, state: Any, x: Tensor, layer: str) -> Any:
        """The state with layer ``layer``'s features ``x`` added."""

    @abc.abstractmethod
    def resize(self, state: Any, resolution: int) -> Any:
        """The state brought to another scale."""


class Likelihood(abc.ABC):
    """p(x | parameters). No weights. Builder: ``(options, image_shape: Shape3)``.

    Images are uint8 [B, H, W, C] (any integer or float dtype with values 0 to 255 is accepted).
    """

    #: channels wanted from the readout, for each pixel
    parameters: int
    #: unit that results are quoted in
    unit: ClassVar[Literal["bits/dim", "nats"]] = "bits/dim"

    @abc.abstractmethod
    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Log p(x) [B] in nats for parameters [B, H, W, `parameters`]."""

    @abc.abstractmethod
    def noise_channels(self) -> int:
        """Uniform(0, 1) numbers wanted for each pixel by `sample`."""

    @abc.abstractmethod
    def sample(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """An image uint8 [B, H, W, C]; ``noise`` is uniform [B, H, W, noise_channels()]."""

    @abc.abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """The expected image, float32 [B, H, W, C] with values 0 to 255."""


class Regularizer(abc.ABC):
    """A further term of the loss. Builder: ``(options, image_shape: Shape3)``."""

    def views(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The batch, perhaps with augmented copies after it: uint8 [B, ...] -> [k B, ...]."""
        return x

    #: rows [i] and [i + B] of a batch with copies share their noise
    shares_noise: bool = False

    @abc.abstractmethod
    def penalty(self, layers: list[LatentOutput]) -> Tensor:
        """The term [B] in nats from the posteriors of the pass."""


class Exporter(abc.ABC):
    """A format that models are written in. Builder: ``(options)``."""

    #: the Keras backend that `export` must run on; None: it needs no Keras
    backend: ClassVar[str | None] = None
    #: what the weights can be stored in
    precisions: ClassVar[tuple[str, ...]] = ("float32",)

    @abc.abstractmethod
    def check_output(self, output: Path) -> None:
        """Refuse a place that cannot be written to, before anything is computed."""

    @abc.abstractmethod
    def export(self, preset: Any, output: Path, precision: str) -> dict[str, Any]:
        """Write the model of a `hvae_core.zoo.Preset`, whole or not at all.

        Returns:
            ``output``, and what else there is to tell: numbers and strings.
        """


class ImageSource(Protocol):
    """Random access to the images of a split."""

    shape: Shape3

    def __len__(self) -> int:
        """Number of images."""

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """The images at ``indices``: uint8 [len(indices), H, W, C]."""


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Where a data set comes from."""

    title: str
    origin: str
    version: str
    licence: str
    citation: str = ""
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    download_bytes: int = 0


class Dataset(abc.ABC):
    """A data set. Builder: ``(options)``."""

    info: DatasetInfo
    splits: tuple[str, ...]

    @property
    @abc.abstractmethod
    def shape(self) -> Shape3:
        """Shape [H, W, C] of an image."""

    @abc.abstractmethod
    def load(self, split: str) -> ImageSource:
        """Open a split.

        Raises:
            hvae_core.errors.DataError: the split is unknown or its files are missing or damaged.
        """

    def prepare(self) -> None:  # noqa: B027, most data sets have nothing to do
        """Bring the files to this machine, if they are not here yet."""

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Random augmentation (training only) and binarization: uint8 [B, H, W, C], same shape."""
        return images
