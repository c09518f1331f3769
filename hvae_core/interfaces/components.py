"""The contracts of a model's parts: blocks, flows, attention, likelihoods, regularizers."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.interfaces.outputs import FlowOutput, LayerPosterior, PassOutput, Tensor
from hvae_core.interfaces.values import UINT8, ImageValues

#: the name of a Keras activation, or a function of a tensor
Activation = str | Callable[..., Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockShape:
    """What the hierarchy tells a block.

    Args:
        resolution: the shorter side of the feature map; in a model at another size than its
            weights were trained at, that in training, so that a block is made of the same layers.
        in_width: channels in.
        middle_width: channels inside the bottleneck.
        out_width: channels out.
        kernel_size: side of the spatial kernels.
        residual: whether the input is added to the output; needs equal widths.
        output_gain: the last convolution's initial weights are scaled by this; 0 makes them zero.
        activation: what ``keras.activations.get`` takes: the name of an activation, or a function.
        size: height and width of the feature map; if unset, a square of ``resolution``.
        middle_layers: spatial convolutions between the first and the last.
    """

    resolution: int
    in_width: int
    middle_width: int
    out_width: int
    kernel_size: int = 3
    residual: bool = False
    output_gain: float = 1.0
    activation: Activation = "silu"
    size: tuple[int, int] = (0, 0)
    middle_layers: int = 2

    def __post_init__(self) -> None:
        if not self.size[0]:
            object.__setattr__(self, "size", (self.resolution, self.resolution))


class Block(abc.ABC):
    """A residual block, a Keras layer. Builder: ``(options, shape: BlockShape, name: str)``."""

    @abc.abstractmethod
    def call(self, x: Tensor) -> Tensor:
        """[B, H, W, in_width] -> [B, H, W, out_width]."""


class Flow(abc.ABC):
    """An invertible map of a latent, a Keras layer.

    Builder: ``(options, latent_shape: Shape3, context_channels: int, name: str)``. The spec's
    ``context_channels(options, latent_shape)`` says how many extra posterior channels it wants. A
    flow whose positions are not all alike, as those of pairs are not, says so by the spec's
    ``alignment(options, latent_shape)``, and is built with ``trained_shape: Shape3`` too, of which
    its weights and its structure are in a model at another size than that of its training.
    """

    #: "exact", "iterative" or None where there is no inverse.
    invertible: ClassVar[Literal["exact", "iterative"] | None] = None
    #: channels of the context that it was built for, 0: it needs none; set when it is built
    context_channels: int = 0

    def __init_subclass__(cls, **options: Any) -> None:
        """Let `forward` and `inverse` refuse a context that the flow was not built for."""
        super().__init_subclass__(**options)
        for name in ("forward", "inverse"):
            if name in vars(cls):
                setattr(cls, name, _checking_context(vars(cls)[name]))

    @abc.abstractmethod
    def forward(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """Z [B, H, W, C] -> the same shape and log|det dz'/dz| [B] in nats, float32."""

    def call(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """What ``flow(z, context)`` gives: `forward`, which PyTorch's modules call by that name."""
        return self.forward(z, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """The preimage of ``z``; its log_det is the *forward's*, at the preimage."""
        raise NotImplementedError(f"{type(self).__name__} declares no inverse")


def _checking_context(method: Callable[..., FlowOutput]) -> Callable[..., FlowOutput]:
    @functools.wraps(method)
    def checked(self: Flow, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        channels = self.context_channels
        if channels:
            name = getattr(self, "name", type(self).__name__)
            shape = ["B", *z.shape[1:3], channels]
            wanted = f"The flow {name!r} needs a context [{', '.join(map(str, shape))}]"
            hint = "A posterior gives it; Flow.context_channels says how many channels it has."
            if context is None:
                raise BadInputError(f"{wanted}; none is given.", hint)
            if len(context.shape) != 4 or list(context.shape[1:]) != shape[1:]:
                raise BadInputError(f"{wanted}; its shape is {list(context.shape)}.", hint)
        return method(self, z, context)

    return checked


@dataclasses.dataclass(frozen=True)
class ScaleShape:
    """One scale of a hierarchy.

    Args:
        index: its number, from the finest, from 0.
        resolution: the shorter side of its feature maps.
        width: channels of the residual stream.
        middle_width: channels inside the decoder's bottlenecks.
        kernel_size: side of the spatial kernels.
        latent_layers: how many latent layers it has.
        size: height and width of its feature maps; if unset, a square of ``resolution``.
        trained_size: those of the weights' training, where the model is at another size; if unset,
            ``size``.
    """

    index: int
    resolution: int
    width: int
    middle_width: int
    kernel_size: int
    latent_layers: int
    size: tuple[int, int] = (0, 0)
    trained_size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if not self.size[0]:
            object.__setattr__(self, "size", (self.resolution, self.resolution))
        if not self.trained_size[0]:
            object.__setattr__(self, "trained_size", self.size)

    @property
    def label(self) -> str:
        """What names of layers call the scale: 32, or 24x16."""
        height, width = self.trained_size
        return str(height) if height == width else f"{height}x{width}"


@dataclasses.dataclass(frozen=True)
class HierarchyShape:
    """What a part that sees the whole hierarchy is told of it.

    Args:
        scales: finest first.
        activation: that inside blocks, see `BlockShape`.
        block: ``(shape, name) -> Block``: makes the model's residual block.
    """

    scales: tuple[ScaleShape, ...]
    activation: Activation
    block: Callable[[BlockShape, str], Any]

    @property
    def layers(self) -> list[ScaleShape]:
        """The scale of each latent layer, coarsest first."""
        return [scale for scale in reversed(self.scales) for _ in range(scale.latent_layers)]


class Attention(abc.ABC):
    """Attention across the layers of the hierarchy, a Keras layer with an explicit state.

    Builder: ``(options, hierarchy: HierarchyShape, name: str)``. The hierarchy knows nothing of
    queries and keys. A pass calls `start`; then at each scale on the way down `resize`, and for
    each of its latent layers `read_prior`, `read_posterior` (in posterior passes) and `write`. The
    state is a pytree of tensors; no method changes the one it is given. Scales count from the
    finest, latent layers from the coarsest, both from 0; all scales have the same width.
    """

    #: names within it, of shell style, of the weights that only posterior passes read, which a
    #: second encoder (``train.objective: partial-posterior``) learns
    posterior_weights: Sequence[str] = ()

    @abc.abstractmethod
    def start(self, features: Sequence[Tensor] | None) -> Any:
        """The state after the way up.

        Args:
            features: the encoder's, [B, H, W, width] each, finest scale first; None in a prior
                pass.
        """

    @abc.abstractmethod
    def resize(self, state: Any, scale: int) -> Any:
        """The state on reaching ``scale`` on the way down, the coarsest one included."""

    @abc.abstractmethod
    def read_prior(self, state: Any, x: Tensor, layer: int) -> Tensor:
        """The residual stream ``x`` [B, H, W, width] with what ``layer`` reads of those above."""

    @abc.abstractmethod
    def read_posterior(self, state: Any, x: Tensor, features: Tensor, layer: int) -> Tensor:
        """The encoder's ``features`` [B, H, W, width] at ``layer``'s scale with what it reads.

        Args:
            state: the state.
            x: the residual stream, as `read_prior` gave it.
            features: what the posterior would be given without attention.
            layer: the latent layer.
        """

    @abc.abstractmethod
    def write(self, state: Any, h: Tensor, layer: int) -> Any:
        """The state with ``h`` [B, H, W, width] added, which ``layer``'s prior gives the stream."""


class Likelihood(abc.ABC):
    """p(x | parameters). No weights.

    Builder: ``(options, image_shape: Shape3, values: ImageValues)``, where its spec says which
    ``dtypes`` it scores. One that does not is of version 1 of the plugin interface: it is built
    with ``(options, image_shape)`` and given uint8 alone.

    Images are [B, H, W, C] with the native `values`, in any number type that holds them.
    """

    #: channels wanted from the readout, for each pixel
    parameters: int
    #: what the images' numbers are
    values: ImageValues = UINT8
    #: values a pixel of 8 bits can have; value k of n is round(255 k / (n - 1))
    levels: int = 256
    #: unit that results are quoted in; a density of continuous values is in nats
    unit: Literal["bits/dim", "nats"] = "bits/dim"
    #: whether `mean` is the image without the noise that `sample` adds to it
    denoises: bool = False
    #: whether exp(log_prob) sums to one over all images with pixels of `support`, or integrates
    proper: bool = True

    @property
    def support(self) -> Sequence[int]:
        """The integers that drawn pixels have, one for each of `levels`; none of other values."""
        if not self.values.is_discrete:
            return []
        steps = self.levels - 1
        return [round(self.values.high * level / steps) for level in range(self.levels)]

    @abc.abstractmethod
    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Log p(x) [B] in nats for parameters [B, H, W, `parameters`].

        Of floating-point values it is a density, per native unit.
        """

    @abc.abstractmethod
    def noise_channels(self) -> int:
        """Uniform(0, 1) numbers wanted for each pixel by `sample`."""

    @abc.abstractmethod
    def sample(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """An image [B, H, W, C]: uint8, or float32 that holds other native values.

        ``noise`` is uniform [B, H, W, noise_channels()].
        """

    @abc.abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """The expected image, float32 [B, H, W, C] in native values."""


class Hierarchy(Protocol):
    """What a regularizer may ask of the model."""

    @property
    def flows(self) -> Sequence[Flow | None]:
        """The latent layers' flows, coarsest first."""

    def posteriors_along(
        self,
        features: Sequence[Tensor],
        latents: Sequence[Tensor],
        embedding: Tensor | None = None,
    ) -> list[LayerPosterior]:
        """The posteriors along given latents, coarsest first; of a condition's embedding too."""


class Regularizer(abc.ABC):
    """A further term of the training loss. No weights.

    Builder: ``(options, dataset: Dataset, levels: int)``, levels being the likelihood's. It is
    given images of the ``dtypes`` of its spec, uint8 where that says nothing. It never enters a
    reported ELBO.
    """

    #: rows of a batch for each image: itself and its augmented copies
    copies: int = 1
    #: whether a copy's latents are drawn with its image's noise
    shares_noise: bool = False

    def views(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The batch with its copies after it: [B, H, W, C] -> [copies B, H, W, C].

        Row i and rows i + B, i + 2 B ... are views of one image. All randomness is ``rng``'s.
        """
        return x

    @abc.abstractmethod
    def penalty(self, out: PassOutput, model: Hierarchy) -> Tensor:
        """The term [B] in nats, its weight included, for a pass over `views` of B images."""
