"""One latent layer of the top-down pass (Child 2020, figure 3)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hvae_core.config import ModelConfig, StageConfig
from hvae_core.interfaces import (
    GaussianParameters,
    LatentOutput,
    LayerPosterior,
    Pruned,
    Tensor,
)
from hvae_core.layers import convolution
from hvae_core.model.conditioning import condition_entry, enter
from hvae_core.model.shapes import block_shape, build_block
from hvae_core.prob import gaussian
from hvae_core.prob.guidance import guided
from hvae_core.prob.splitting import split_channels


class LatentLayer(keras.layers.Layer):
    """Posterior and prior of one latent, and its way into the residual stream.

    ``q: Block([x, features])``, ``p, h: Block(x)``, ``x <- x + h + W_z z``, ``x <- Block(x)``. With
    ``model.latent_heads`` q and p are 1x1 convolutions of what their blocks give, which is as wide
    as x; with ``model.relative_posterior`` q's mean and log deviation are added to p's (Vahdat &
    Kautz 2020). A condition enters what the three blocks are given, see
    `hvae_core.model.conditioning`; where the prior is to be unconditional, that of the posterior
    alone. Of a top prior p reads the context too: ``p, h: Block([x, context])`` (Kuzina & Tomczak
    2024).

    Args:
        config: the model's options.
        stage: the scale this layer is at.
        depth: latent layers in all; the residual branches start scaled by 1 / sqrt(depth).
        ends_stream: nothing reads the stream after this layer, so it only gives its latent.
        name: the layer's name.
    """

    def __init__(
        self, config: ModelConfig, stage: StageConfig, depth: int, ends_stream: bool, name: str
    ) -> None:
        super().__init__(name=name)
        self.stage = stage
        self.width = stage.latent_width
        self.parametrisation = config.standard_deviation
        self.beta = config.softplus_beta
        self.ends_stream = ends_stream
        self.is_relative = config.relative_posterior
        middle = stage.decoder_middle_width
        context = 0
        if stage.flow is not None and (channels := stage.flow.spec.context_channels):
            context = channels(stage.flow.options, stage.latent_shape)
        width = stage.decoder_width
        into_stream = 0 if ends_stream else width
        posterior_channels, prior_channels = 2 * self.width + context, 2 * self.width
        self.posterior_head = self.prior_head = None
        if config.latent_heads:
            self.posterior_head = convolution(posterior_channels, 1, name="posterior_head")
            self.prior_head = convolution(prior_channels, 1, name="prior_head")
            posterior_channels = prior_channels = width
        self.prior_channels = prior_channels

        def block(name: str, out_width: int, **changes: object) -> Any:
            shape = block_shape(
                config,
                stage,
                middle,
                out_width,
                in_width=changes.pop("in_width", width),
                kernel_size=stage.decoder_kernel_size,
                middle_layers=stage.decoder_middle_layers,
                **changes,
            )
            return build_block(config, shape, name)

        self.posterior = block("posterior", posterior_channels, in_width=width + stage.skip_width)
        # With a head, zeros would pass it no gradient.
        gain = 1.0 if config.latent_heads else 0.0
        self.prior_in_width = width + config.context_channels
        self.prior = block(
            "prior", prior_channels + into_stream, in_width=self.prior_in_width, output_gain=gain
        )
        self.flow = None
        if stage.flow is not None:
            shape, trained = stage.latent_shape, stage.trained_latent_shape
            self.flow = stage.flow.build(shape, context, name="flow", trained_shape=trained)
        self.residuals: list[Any] = []
        if not ends_stream:
            gain = depth**-0.5
            self.projection = convolution(width, 1, gain=gain, name="projection")
            count = stage.residual_blocks
            self.residuals = [
                block(
                    "residual" if count == 1 else f"residual-{index}",
                    width,
                    residual=True,
                    output_gain=gain,
                )
                for index in range(count)
            ]
        # They start at zero and draw nothing, so the others' initial weights are what they were.
        self.into_posterior = condition_entry(
            config, width + stage.skip_width, "condition-posterior"
        )
        self.into_prior = self.into_stream = None
        if config.conditioning.prior:
            self.into_prior = condition_entry(config, width, "condition-prior")
            if not ends_stream:
                self.into_stream = condition_entry(config, width, "condition-stream")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        stage = self.stage
        shape = (None, *stage.size, stage.decoder_width)
        self.posterior.build((*shape[:3], stage.decoder_width + stage.skip_width))
        self.prior.build((*shape[:3], self.prior_in_width))
        for head in (self.posterior_head, self.prior_head):
            if head is not None:
                head.build(shape)
        if self.flow is not None and not self.flow.built:
            self.flow.build((None, *stage.latent_shape))
        if not self.ends_stream:
            self.projection.build((None, *stage.latent_shape))
        for residual in self.residuals:
            residual.build(shape)
        for entry in (self.into_posterior, self.into_prior, self.into_stream):
            if entry is not None:
                entry.build()

    def _gaussian(self, mean: Tensor, width: Tensor) -> GaussianParameters:
        return gaussian.parameters(mean, width, self.parametrisation, self.beta)

    def _prior(
        self, x: Tensor, embedding: Tensor | None, top: Tensor | None
    ) -> tuple[GaussianParameters, Tensor]:
        """The prior, and its part in the stream (of no channels where that ends)."""
        given = enter(self.into_prior, x, embedding)
        if top is not None:
            given = ops.concatenate([given, ops.cast(top, given.dtype)], axis=-1)
        channels = self.prior(given)
        rest = channels.shape[-1] - self.prior_channels
        if self.prior_head is None:
            *own, h = split_channels(channels, [self.width, self.width, rest])
        else:
            channels, h = split_channels(channels, [self.prior_channels, rest])
            own = split_channels(self.prior_head(channels), [self.width, self.width])
        return self._gaussian(*own), h

    def _posterior(
        self, x: Tensor, features: Tensor, p: GaussianParameters, embedding: Tensor | None
    ) -> LayerPosterior:
        given = enter(self.into_posterior, ops.concatenate([x, features], axis=-1), embedding)
        channels = self.posterior(given)
        if self.posterior_head is not None:
            channels = self.posterior_head(channels)
        rest = channels.shape[-1] - 2 * self.width
        *own, context = split_channels(channels, [self.width, self.width, rest])
        q = self._gaussian(*own)
        if self.is_relative:
            q = GaussianParameters(p.mean + q.mean, p.log_std + q.log_std)
        return LayerPosterior(q, context if rest else None)

    def _update(
        self, x: Tensor, h: Tensor, z: Tensor, embedding: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The residual stream after this layer, and the prior's part in it (None: it ended)."""
        if self.ends_stream:
            return x, None
        x = enter(self.into_stream, x + h + self.projection(z), embedding)
        for residual in self.residuals:
            x = residual(x)
        return x, h

    def infer(
        self,
        x: Tensor,
        features: Tensor,
        noise: Tensor,
        pruned: Pruned | None = None,
        embedding: Tensor | None = None,
        top: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, LatentOutput]:
        """Draw the latent from the posterior and go on.

        Args:
            x: the residual stream [B, H, W, width].
            features: the encoder's [B, H, W, skip width].
            noise: standard normal [B, H, W, latent width].
            pruned: which channels of the latent come from the prior instead; None: none does.
            embedding: of the condition [B, width], where the model has one.
            top: what the prior reads of the top prior [B, H, W, c], where the model has one.

        Returns:
            The stream after this layer, the prior's part in it, and the rest.
        """
        output, h = self.latent(x, features, noise, pruned, embedding, top)
        return *self._update(x, h, output.z, embedding), output

    def latent(
        self,
        x: Tensor,
        features: Tensor,
        noise: Tensor,
        pruned: Pruned | None = None,
        embedding: Tensor | None = None,
        top: Tensor | None = None,
    ) -> tuple[LatentOutput, Tensor]:
        """The latent drawn from the posterior, and the prior's part in the stream; as `infer`.

        Posterior, prior and KL are the same whatever is pruned.
        """
        p, h = self._prior(x, embedding, top)
        q, context = self._posterior(x, features, p, embedding)
        z = gaussian.draw(q, noise)
        if self.flow is None:
            kl = gaussian.sum_event(gaussian.kl_divergence(q, p))
            log_det = ops.zeros_like(kl)
        else:
            start = z
            z, log_det = self.flow.forward(start, context)
            kl = gaussian.flow_kl(q, p, noise, start, z, log_det)
        output = LatentOutput(z, kl, log_det, q, p, noise, context)
        return output if pruned is None else drawn_anew(output, pruned), h

    def posterior_along(
        self,
        x: Tensor,
        features: Tensor,
        z: Tensor,
        embedding: Tensor | None = None,
        top: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, LayerPosterior]:
        """The posterior, and the stream when the latent is ``z`` whatever that is; as `infer`."""
        p, h = self._prior(x, embedding, top)
        posterior = self._posterior(x, features, p, embedding)
        return *self._update(x, h, z, embedding), posterior

    def generate(
        self,
        x: Tensor,
        noise: Tensor,
        temperature: Tensor | float,
        given: Tensor | None = None,
        is_given: Tensor | None = None,
        embedding: Tensor | None = None,
        guidance: Tensor | float | None = None,
        top: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Draw the latent from the prior, its standard deviation times ``temperature``.

        Args:
            x: the residual stream [B, H, W, width].
            noise: standard normal [B, H, W, latent width].
            temperature: a number or a scalar tensor.
            given: the latent to use instead.
            is_given: a scalar tensor: above 1/2, ``noise`` is itself the latent to use.
            embedding: of the condition [B, width], where the model has one.
            guidance: the rows are a batch under its condition and once more under the null one;
                see `guided`.
            top: see `infer`.

        Returns:
            The stream after this layer, the prior's part in it, and the latent.
        """
        p, h = self._prior(x, embedding, top)
        if given is None:
            if guidance is not None:
                p = guided(p, guidance)
            given = p.mean + temperature * ops.exp(p.log_std) * noise
            if is_given is not None:
                given = ops.where(is_given > 0.5, noise, given)
        return *self._update(x, h, given, embedding), given


def drawn_anew(layer: LatentOutput, pruned: Pruned) -> LatentOutput:
    """The layer with those channels of its latent that are not kept drawn from its prior."""
    kept = ops.cast(pruned.kept, layer.z.dtype)
    drawn = gaussian.draw(layer.prior, ops.convert_to_tensor(pruned.noise))
    return layer._replace(z=kept * layer.z + (1.0 - kept) * drawn)
