"""The multi-scale stack of convolutional Sylvester steps (Hoogeboom et al. 2020, section 5)."""

from __future__ import annotations

import keras
from keras import ops

from hvae_core.config import single
from hvae_core.errors import ConfigError
from hvae_core.interfaces import Flow, FlowOutput, Shape3, Tensor
from hvae_core.layers import density_dtype
from hvae_plugins.flows.conv_sylvester import ConvSylvesterConfig, levels_of
from hvae_plugins.flows.conv_sylvester.convolutions import AutoregressiveNetwork
from hvae_plugins.flows.conv_sylvester.steps import (
    ActNorm,
    Coupling,
    SylvesterStep,
    flip,
    squeeze,
    unsqueeze,
)


def hidden_channels(wanted: int, channels: int) -> int:
    """The multiple or divisor of ``channels`` that is nearest to ``wanted`` from below, or it."""
    if wanted >= channels:
        return wanted - wanted % channels
    return max(n for n in range(1, wanted + 1) if channels % n == 0)


class Level(keras.layers.Layer):
    """Steps of one resolution: n times ActNorm, Sylvester step and flip; perhaps a coupling.

    Args:
        config: the flow's options.
        shape: [H, W, C] at this level.
        trained_shape: the same in training, of which kernels and flips are.
        context: channels of the context here.
        splits: whether half of the channels leave after this level, coupled first.
        dtype: float32 or float64.
        name: the layer's name.
    """

    def __init__(
        self,
        config: ConvSylvesterConfig,
        shape: Shape3,
        trained_shape: Shape3,
        context: int,
        splits: bool,
        dtype: str,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.splits = splits
        self.flips = trained_shape[0] > 1
        repeats, channels = single(config.repeats, "repeats"), single(config.channels, "channels")
        #: whether the level ends with its pixels in reverse
        self.ends_flipped = self.flips and repeats % 2 == 1
        size = 1 if trained_shape[0] == trained_shape[1] == 1 else 3
        hidden = hidden_channels(channels, shape[-1])
        reflections = single(config.reflections, "reflections")
        norm = config.network_norm if config.spectral_norm else None
        self.norms, self.steps = [], []
        for place in range(repeats):
            network = AutoregressiveNetwork(
                size, shape[-1], hidden, context, norm=norm, bound_heads=config.bound_heads,
                dtype=dtype, name="network",
            )  # fmt: skip
            self.norms.append(ActNorm(shape, dtype, f"norms-{place}"))
            self.steps.append(
                SylvesterStep(
                    trained_shape, network, reflections, config.terms, dtype, f"steps-{place}"
                )
            )
        self.coupling = None
        if splits:
            self.coupling = Coupling(
                trained_shape, channels, context, norm=norm, dtype=dtype, name="coupling"
            )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for layer in (*self.norms, *self.steps, self.coupling):
            if layer is not None:
                layer.build()
        self.built = True

    def call(self, x: Tensor, context: Tensor | None = None) -> FlowOutput:
        """[B, H, W, C] -> the same shape, ending flipped if `ends_flipped`."""
        total = ops.zeros_like(x[:, 0, 0, 0])
        flipped = False
        for norm, step in zip(self.norms, self.steps, strict=True):
            x, log_det = norm(x)
            total = total + log_det
            x, log_det = step(x, oriented(context, flipped))
            total = total + log_det
            if self.flips:
                x, flipped = flip(x), not flipped
        if self.coupling is not None:
            x, log_det = self.coupling(x, oriented(context, flipped))
            total = total + log_det
        return FlowOutput(x, total)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """The preimage, and the forward's log_det."""
        total = ops.zeros_like(z[:, 0, 0, 0])
        flipped = self.ends_flipped
        if self.coupling is not None:
            z, log_det = self.coupling.inverse(z, oriented(context, flipped))
            total = total + log_det
        for norm, step in reversed(list(zip(self.norms, self.steps, strict=True))):
            if self.flips:
                z, flipped = flip(z), not flipped
            z, log_det = step.inverse(z, oriented(context, flipped))
            total = total + log_det
            z, log_det = norm.inverse(z)
            total = total + log_det
        return FlowOutput(z, total)


def oriented(context: Tensor | None, flipped: bool) -> Tensor | None:
    """The context with its pixels in the order of the latent's."""
    return flip(context) if flipped and context is not None else context


class ConvSylvester(Flow, keras.layers.Layer):
    """Levels of convolutional Sylvester steps, space folded into channels between them.

    After a level (but the last; from the second on) half of the channels leave. At the end the
    foldings, splits and flips are undone, so that each number of the latent keeps its place.
    Starts as the identity.

    Args:
        config: the options.
        latent_shape: [H, W, C] of the latent.
        context_channels: of the context [B, H, W, context_channels], 0: none.
        name: the layer's name.
        trained_shape: that of the latent in training, of which levels and kernels are, so that the
            flow is the same at any size; None: ``latent_shape``.
    """

    invertible = "iterative"

    def __init__(
        self,
        config: ConvSylvesterConfig,
        latent_shape: Shape3,
        context_channels: int,
        name: str,
        trained_shape: Shape3 | None = None,
    ) -> None:
        self.precision = density_dtype()
        super().__init__(name=name, dtype=self.precision)
        height, width, channels = latent_shape
        rows, columns, _ = trained = trained_shape or latent_shape
        self.split_first = single(config.split_first, "split_first")
        self.orients_context = config.orient_context
        if self.split_first:
            if channels % 2:
                raise ConfigError(
                    f"model.latent_width is {channels} at scale {height}, where "
                    "model.flow.split_first halves it.",
                    "Give an even latent_width, or split_first: false at this scale.",
                )
            channels //= 2
        count = levels_of(config, trained)
        self.stack: list[Level] = []
        for index in range(count):
            splits = 0 < index < count - 1
            level = Level(
                config, (height, width, channels), (rows, columns, channels), context_channels,
                splits, self.precision, f"levels-{index}",
            )  # fmt: skip
            self.stack.append(level)
            if splits:
                channels //= 2
            height, width, channels = height // 2, width // 2, 4 * channels
            rows, columns = rows // 2, columns // 2
            context_channels *= 4

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for level in self.stack:
            level.build()
        self.built = True

    def _contexts(self, context: Tensor | None) -> list[Tensor | None]:
        """The context at each level's resolution, the way round its latent begins there."""
        if context is None:
            return [None] * len(self.stack)
        found = [ops.cast(context, self.precision)]
        for level in self.stack[:-1]:
            turned = self.orients_context and level.ends_flipped
            found.append(squeeze(flip(found[-1]) if turned else found[-1]))
        return found

    def _restore(self, x: Tensor, aside: list[Tensor]) -> Tensor:
        """Undo the permutations of `_arrange`: what went through all levels and what left."""
        aside = list(aside)
        for level in reversed(self.stack):
            if level is not self.stack[-1]:
                x = unsqueeze(x)
            if level.splits:
                x = ops.concatenate([x, aside.pop()], axis=-1)
            if level.ends_flipped:
                x = flip(x)
        return ops.concatenate([x, aside.pop()], axis=-1) if self.split_first else x

    def _arrange(self, z: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the levels' last values were: of the last level, and what left before it."""
        aside = []
        if self.split_first:
            z, rest = ops.split(z, 2, axis=-1)
            aside.append(rest)
        for level in self.stack:
            if level.ends_flipped:
                z = flip(z)
            if level.splits:
                z, rest = ops.split(z, 2, axis=-1)
                aside.append(rest)
            if level is not self.stack[-1]:
                z = squeeze(z)
        return z, aside

    def forward(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """See `Flow.forward`; ``context`` is [B, H, W, context_channels]."""
        x = ops.cast(z, self.precision)
        total = ops.zeros_like(x[:, 0, 0, 0])
        aside = []
        if self.split_first:
            x, rest = ops.split(x, 2, axis=-1)
            aside.append(rest)
        for level, given in zip(self.stack, self._contexts(context), strict=True):
            x, log_det = level(x, given)
            total = total + log_det
            if level.splits:
                x, rest = ops.split(x, 2, axis=-1)
                aside.append(rest)
            if level is not self.stack[-1]:
                x = squeeze(x)
        return FlowOutput(self._restore(x, aside), total)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """See `Flow.inverse`: by fixed-point iteration; its gradient needs `spectral_norm`."""
        x, aside = self._arrange(ops.cast(z, self.precision))
        total = ops.zeros_like(x[:, 0, 0, 0])
        stacked = list(zip(self.stack, self._contexts(context), strict=True))
        for level, given in reversed(stacked):
            if level is not self.stack[-1]:
                x = unsqueeze(x)
            if level.splits:
                x = ops.concatenate([x, aside.pop()], axis=-1)
            x, log_det = level.inverse(x, given)
            total = total + log_det
        if self.split_first:
            x = ops.concatenate([x, aside.pop()], axis=-1)
        return FlowOutput(x, total)
