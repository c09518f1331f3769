"""The architecture of a hierarchical VAE as typed options, and the stages they describe.

Names, defaults and rules follow the option table in ``docs/options.md``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

import pydantic
from pydantic import Field, PositiveFloat

from hvae_core.config.component import Attention, Block, Component, Condition, Flow, Prior
from hvae_core.config.conditioning import ConditioningConfig, check_conditioning, values_of
from hvae_core.config.limits import Blocks, Channels, MiddleLayers, Side, Size
from hvae_core.config.per_scale import PerScale, expand
from hvae_core.config.section import Section
from hvae_core.config.stages import (
    StageConfig,
    factors,
    flow_at,
    kernel_size,
    multiples_of,
    pairs,
    pin_of,
    scale_label,
    size_label,
    step_of,
)
from hvae_core.config.top_prior import prior_channels, prior_shape
from hvae_core.interfaces import ConditionValues

#: of a block's group normalisation
GROUPS = 8
#: the elementwise activations of Keras, which this package does not import
Activation = Literal[
    "celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu",
    "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softplus",
    "softsign", "swish", "tanh",
]  # fmt: skip


class ReadoutConfig(Section):
    """How the image is read out: from the latents (DVP-VAE) or the decoder's features (VDVAE)."""

    kind: Literal["latents", "features"] = Field(
        "latents", description="latents: DVP-VAE's aggregation; features: the original VDVAE's"
    )
    blocks: Blocks = Field(3, description="residual blocks after the aggregation (latents)")
    width: Channels = Field(64, description="channels of the aggregated features (latents)")
    middle_width: Channels = Field(32, description="middle width of the output blocks (latents)")
    upsampling: Literal["nearest", "bilinear", "bilinear-steps"] = Field(
        "nearest",
        description="how a scale's summed latents reach the finest scale (latents); bilinear: "
        "directly, as in DVP-VAE; bilinear-steps: from each scale to the next",
    )
    last_activation: bool = Field(
        False, description="block_activation before the last convolution too (latents)"
    )
    kernel_size: Side | None = Field(
        None,
        description="of the last convolution; unset: 1 (features), 3 or as large_kernels says "
        "(latents)",
    )
    gain: bool = Field(
        True,
        description="a learned gain and bias a channel before the last convolution, as in the "
        "original VDVAE (features)",
    )


class ModelConfig(Section):
    """The model. Per-scale options: one value for all scales, or a list, finest scale first."""

    resolutions: list[Size] = Field(
        default=[32, 16, 8, 4, 1],
        min_length=1,
        description="side of each scale, or its [height, width], finest first; a scale may have "
        "the size of the one before it: features of its own, with nothing pooled between them",
    )
    trained_resolutions: list[Size] | None = Field(
        None,
        description="those that the weights were trained at, where `resolutions` are others, as "
        "`model.at_size` sets it: kernels and the names of weights follow from them",
    )
    patch_size: Side = Field(
        1, description="pixels a side that the stem folds into one position of the finest scale"
    )
    image_channels: Channels = Field(3, description="channels of an image")
    input_mean: float | None = Field(
        None, description="subtracted from the pixels first; null: the middle of their range"
    )
    input_scale: PositiveFloat | None = Field(
        None, description="the pixels are then divided by this; null: half the length of the range"
    )

    input_levels: int | None = Field(
        None,
        ge=2,
        le=256,
        description="pixels of 8 bits are rounded down to so many levels before the network sees "
        "them, as in Efficient-VDVAE of 5 bits; null: as they are",
    )

    width: PerScale[Channels] = Field(64, description="channels of the residual stream")
    decoder_width: PerScale[Channels] | None = Field(
        None, description="channels of the stream on the way down; null: model.width"
    )
    encoder_middle_width: PerScale[Channels] = Field(32, description="encoder bottleneck")
    decoder_middle_width: PerScale[Channels] = Field(32, description="decoder bottleneck")
    latent_width: PerScale[Channels] = Field(16, description="channels of each latent")
    encoder_blocks: PerScale[Blocks] = Field(3, description="bottom-up blocks")
    decoder_blocks: PerScale[Blocks] = Field(3, description="latent layers")
    pooling_block: bool = Field(
        False,
        description="the last encoder block of a scale belongs to the way down: the decoder gets "
        "what enters it, as in the original VDVAE; not at the coarsest scale",
    )
    mixing_block: PerScale[Blocks] = Field(
        0, description="decoder block before which the coarser stream enters a scale"
    )
    residual_blocks: PerScale[Blocks] = Field(
        1, description="residual blocks after each latent on the way down"
    )
    encoder_middle_layers: PerScale[MiddleLayers] = Field(
        2, description="convolutions inside a bottleneck, between its first and its last"
    )
    decoder_middle_layers: PerScale[MiddleLayers] = Field(2, description="the same on the way down")
    encoder_kernel_size: PerScale[Side] | None = Field(
        None,
        description="of the convolutions inside bottlenecks; null: 3, from 2x2 on 1, or as "
        "large_kernels says",
    )
    decoder_kernel_size: PerScale[Side] | None = Field(None, description="the same on the way down")
    stem_kernel_size: Side | None = Field(
        None, description="of the first convolution; null: 3, or as large_kernels says"
    )

    block: Block = Field("bottleneck", description="the residual block")  # type: ignore[assignment]
    block_activation: Activation = Field("silu", description="activation inside blocks")
    pool_activation: Activation = Field("silu", description="activation of pooling and unpooling")
    leaky_relu_slope: float = Field(
        0.2, ge=0, le=1, description="of the activation leaky_relu, below 0; PyTorch's is 0.01"
    )
    pool_order: Literal["pool-first", "project-first"] = Field(
        "pool-first",
        description="on the way up with channel_change: projection; pool-first: pooling, "
        "projection, activation; project-first: projection, activation, pooling",
    )
    pooling: Literal["average", "convolution"] = Field(
        "average",
        description="on the way up; convolution: one whose kernel is its stride, then "
        "pool_activation, in place of averaging and projection, as in Efficient-VDVAE",
    )
    skip_projections: bool = Field(
        False,
        description="the way down is given each scale's features through a 1x1 convolution of "
        "their own, of decoder_width channels, as in Efficient-VDVAE",
    )
    channel_change: Literal["projection", "pad"] = Field(
        "projection",
        description="between scales: 1x1 convolution and pool_activation, or the original's zero "
        "padding on the way up and truncation on the way down",
    )
    norm: Literal["none", "group"] = Field("none", description="group: 8 groups")
    conv: Literal["dense", "depthwise5", "depthwise5-once"] = Field(
        "dense",
        description="depthwise5: both inner convolutions 5x5 depthwise; depthwise5-once: one in "
        "their place; 1x1 below 8x8",
    )
    large_kernels: bool | Literal["blocks"] = Field(
        False,
        description="from 128 pixels: kernels of 5, 7, 11, 13; in the stem and the readout's last "
        "convolution too, or in blocks alone",
    )
    top: Literal["learned", "zeros"] = Field("learned", description="start of the decoder")
    no_bias_above: int = Field(
        64, ge=0, description="decoder scales up to this side start from a learned bias"
    )
    standard_deviation: Literal["softplus", "exp", "scaled-exp"] = Field(
        "softplus",
        description="softplus: gradient smoothing; exp: the original VDVAE; scaled-exp: the "
        "exponential of softplus_beta times what is read out",
    )
    softplus_beta: PositiveFloat = Field(math.log(2.0), description="of the gradient smoothing")

    latent_heads: bool = Field(
        False,
        description="posterior and prior get their mean and deviation through a 1x1 convolution of "
        "their own after the block, as in Efficient-VDVAE",
    )
    relative_posterior: bool = Field(
        False,
        description="the posterior's mean and deviation are relative to the prior's, as in NVAE",
    )

    readout: ReadoutConfig = Field(default_factory=ReadoutConfig, description="the way out")
    flow: Flow = Field(
        None,
        description="posterior flow; its key `scales` (true) turns it on and off, for all scales "
        "or one value a scale",
    )
    attention: Attention = Field(None, description="attention across layers")
    condition: Condition = Field(
        None, description="what the images are conditioned on, see data.condition"
    )
    prior: Prior = Field(
        None,
        description="top prior: variables above the latent layers, which their priors read",
    )
    conditioning: ConditioningConfig = Field(
        default_factory=ConditioningConfig, description="how the condition enters"
    )
    input_channels: Channels | None = Field(
        None,
        description="channels that the encoder sees: the image's, then further ones, such as a "
        "mask; null: image_channels",
    )

    @pydantic.model_validator(mode="after")
    def _check(self) -> ModelConfig:
        for fine, coarse in itertools.pairwise(self.sizes):
            if fine[0] % coarse[0] or fine[1] % coarse[1]:
                raise ValueError(
                    f"model.resolutions has {size_label(coarse)} after {size_label(fine)}; each "
                    "must divide the one before it, along height and along width, finest first, "
                    "such as 32, 16, 8, 4, 1 or [24, 16], [12, 8], 4"
                )
        self._check_trained_resolutions()
        stages = self.stages
        if not any(stage.decoder_blocks for stage in stages):
            raise ValueError(
                "model.decoder_blocks is 0 at every scale; at least one latent layer is needed"
            )
        for stage in stages:
            if stage.mixing_block and stage.mixing_block >= stage.decoder_blocks:
                raise ValueError(
                    f"model.mixing_block is {stage.mixing_block} at scale {stage.label}, "
                    f"which has {stage.decoder_blocks} decoder blocks; blocks count from 0"
                )
        if self.input_channels is not None and self.input_channels < self.image_channels:
            raise ValueError(
                f"model.input_channels is {self.input_channels}, but an image has "
                f"{self.image_channels}; the encoder sees those first"
            )
        check_conditioning(self.condition, self.conditioning, self.readout.kind)
        prior_shape(self.prior, self.image_shape)
        self._check_groups()
        widths = {width for s in stages for width in (s.decoder_width, s.skip_width)}
        if self.attention is not None and len(widths) > 1:
            raise ValueError("model.width must be equal at all scales with model.attention")
        if self.attention is not None and len(set(self.sizes)) < len(stages):
            raise ValueError(
                "model.resolutions has a size twice, which model.attention cannot tell apart"
            )
        if self.pooling == "convolution" and self.channel_change == "pad":
            raise ValueError(
                "model.pooling: convolution changes the channels itself; it needs "
                "model.channel_change: projection"
            )
        if self.channel_change == "pad" and any(
            coarse.width < fine.width or coarse.decoder_width < fine.decoder_width
            for fine, coarse in itertools.pairwise(stages)
        ):
            raise ValueError(
                "model.width shrinks towards the coarser scales, which model.channel_change: pad "
                "cannot do; use projection"
            )
        return self

    def _check_groups(self) -> None:
        """Refuse channels that a block's group normalisation cannot divide."""
        if getattr(self.block_with_options.options, "norm", "none") != "group":
            return
        key = "model.norm" if self.norm == "group" else "model.block.norm"
        for what, channels in self.normalised_channels():
            if channels % GROUPS:
                raise ValueError(
                    f"{what} is {channels}; with {key}: group it must be a multiple of {GROUPS}, "
                    f"with {key}: none it may be any number"
                )

    def normalised_channels(self) -> Iterator[tuple[str, int]]:
        """What the blocks normalise: the channels that enter them and those inside, in words."""
        stream = "model.decoder_width" if self.decoder_width else "model.width"
        skip = stream if self.skip_projections else "model.width"
        context = self.context_channels
        for stage in self.stages:
            if stage.encoder_blocks:
                yield "model.width", stage.width
                yield "model.encoder_middle_width", stage.encoder_middle_width
            if not stage.decoder_blocks:
                continue
            yield "model.decoder_middle_width", stage.decoder_middle_width
            # Into a residual block or an attention's query, the prior and the posterior.
            if stage.residual_blocks or self.attention is not None:
                yield stream, stage.decoder_width
            above = f" plus the {context} that the layers' priors read of model.prior"
            yield stream + (above if context else ""), stage.decoder_width + context
            yield f"{stream} plus {skip}", stage.decoder_width + stage.skip_width
        if self.readout.kind == "latents" and self.readout.blocks:
            yield "model.readout.width", self.readout.width
            yield "model.readout.middle_width", self.readout.middle_width

    def _check_trained_resolutions(self) -> None:
        if self.trained_resolutions is None:
            return
        trained = pairs(self.trained_resolutions)
        if len(trained) != len(self.sizes) or factors(trained) != factors(self.sizes):
            raise ValueError(
                "model.trained_resolutions does not go with model.resolutions; expected as many "
                "scales, each smaller than the one before it by the same factors"
            )
        pin = self.pin
        if pin:
            raise ValueError(f"model.trained_resolutions is given, but {pin}")
        size, multiples = self.image_shape[:2], self.multiples
        if any(side % multiple for side, multiple in zip(size, multiples, strict=True)):
            raise ValueError(
                f"model.resolutions makes images of {size_label(size)}; with "
                f"model.trained_resolutions expected multiples of {size_label(multiples)}, "
                f"{self.reason_of_multiples}"
            )

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each scale, finest first."""
        return pairs(self.resolutions)

    @property
    def trained_sizes(self) -> list[tuple[int, int]]:
        """Height and width of each scale in training, finest first."""
        return pairs(self.trained_resolutions or self.resolutions)

    @property
    def multiples(self) -> tuple[int, int]:
        """What height and width of an image are multiples of at any size of the model."""
        return multiples_of(self.stages, self.patch_size)

    @property
    def reason_of_multiples(self) -> str:
        """Why they are these, as a clause."""
        coarsest = step_of(self.stages[-1], self.stages[0], self.patch_size)
        if self.flow is None or self.multiples == coarsest:
            return "for which one position of its coarsest scale stands"
        return f"to which its flow {self.flow.name} is aligned"

    @property
    def pin(self) -> str:
        """Why the weights are those of one size alone, as a clause; empty if they are of any."""
        if self.prior is not None:
            return "the variables of model.prior are those of images of this size"
        return pin_of(self.stages, self.top == "zeros", self.no_bias_above)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape [H, W, C] of an image."""
        height, width = self.sizes[0]
        return (height * self.patch_size, width * self.patch_size, self.image_channels)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape [H, W, C'] of what the encoder sees."""
        return (*self.image_shape[:2], self.input_channels or self.image_channels)

    @property
    def condition_values(self) -> ConditionValues | None:
        """What the condition's values are; None without one."""
        return values_of(self.condition)

    @property
    def embedding_width(self) -> int:
        """Channels of the condition's embedding, 0 without one."""
        return 0 if self.condition is None else int(self.condition.options.width)

    @property
    def embedding_width_of_priors(self) -> int:
        """The same of that which the priors are given, 0 where they are unconditional."""
        return self.embedding_width if self.conditioning.prior else 0

    @cached_property
    def block_with_options(self) -> Component:
        """The block, its options ``norm`` and ``conv`` being the model's where those are set.

        Raises:
            ValueError: one is set, and the block has no such option.
        """
        changes = {}
        for key in ("norm", "conv"):
            value = getattr(self, key)
            if value == type(self).model_fields[key].default:
                continue
            if not hasattr(self.block.options, key):
                raise ValueError(
                    f"model.{key} is {value}, which the block {self.block.name!r} has no option for"
                )
            changes[key] = value
        return self.block.with_options(**changes) if changes else self.block

    @cached_property
    def stages(self) -> tuple[StageConfig, ...]:
        """One stage a scale, finest first."""
        count = len(self.resolutions)

        def values(key: str) -> list[Any]:
            return expand(getattr(self, key), count, f"model.{key}")

        columns = {
            key: values(key)
            for key in (
                "width",
                "encoder_middle_width",
                "decoder_middle_width",
                "latent_width",
                "encoder_blocks",
                "decoder_blocks",
                "mixing_block",
                "residual_blocks",
                "encoder_middle_layers",
                "decoder_middle_layers",
            )
        }
        columns["decoder_width"] = values("decoder_width" if self.decoder_width else "width")
        kernels = [kernel_size(size, bool(self.large_kernels)) for size in self.trained_sizes]
        for key in ("encoder_kernel_size", "decoder_kernel_size"):
            columns[key] = kernels if getattr(self, key) is None else values(key)
        columns["skip_width"] = columns["decoder_width" if self.skip_projections else "width"]
        flows = [flow_at(self.flow, index, count) for index in range(count)]
        trained_sizes = self.trained_sizes
        return tuple(
            StageConfig(
                index=index,
                size=size,
                trained_size=trained,
                label=scale_label(trained_sizes, index),
                kernel_size=kernels[index],
                # The coarsest scale has one without a latent layer too: there the stream starts.
                learned_bias=max(trained) <= self.no_bias_above
                and (columns["decoder_blocks"][index] > 0 or index == count - 1)
                # The stream of the same size goes on.
                and trained not in trained_sizes[index + 1 :],
                pooling_block=self.pooling_block
                and index < count - 1
                and columns["encoder_blocks"][index] > 0,
                flow=flows[index],
                **{key: column[index] for key, column in columns.items()},
            )
            for index, (size, trained) in enumerate(zip(self.sizes, trained_sizes, strict=True))
        )

    @property
    def outer_kernel_size(self) -> int:
        """Side of the kernels of stem and last convolution, where no patches are folded."""
        return max(3, kernel_size(self.trained_sizes[0], self.large_kernels is True))

    @property
    def first_kernel_size(self) -> int:
        """Side of the stem's kernel, where no patches are folded."""
        return self.stem_kernel_size or self.outer_kernel_size

    @property
    def latent_shapes(self) -> list[tuple[int, int, int]]:
        """[(h, w, c)] of the latent layers, coarsest first; a top prior's variables before them."""
        top = prior_shape(self.prior, self.image_shape)
        return self.block_shapes if top is None else [top, *self.block_shapes]

    @property
    def block_shapes(self) -> list[tuple[int, int, int]]:
        """[(h, w, c)] of the decoder blocks' latents, coarsest first."""
        return [
            stage.latent_shape
            for stage in reversed(self.stages)
            for _ in range(stage.decoder_blocks)
        ]

    @property
    def prunable_layers(self) -> list[bool]:
        """Whether single channels of a latent layer may come from the prior, coarsest first.

        Not where a flow mixes them, nor in a top prior, whose groups of channels are drawn from
        each other: one tells what another was.
        """
        top = [] if self.prior is None else [False]
        return top + [
            stage.flow is None
            for stage in reversed(self.stages)
            for _ in range(stage.decoder_blocks)
        ]

    @property
    def context_channels(self) -> int:
        """Channels of what the layers' priors read of the top prior, 0 without one."""
        return prior_channels(self.prior, self.image_shape)
