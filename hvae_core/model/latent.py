"""One latent layer of the top-down pass (Child 2020, figure 3)."""

from __future__ import annotations

import keras
from keras import ops

from hvae_core.config import ModelConfig, StageConfig
from hvae_core.interfaces import GaussianParameters, LatentOutput, LayerPosterior, Tensor
from hvae_core.layers import convolution
from hvae_core.model.shapes import block_shape, build_block
from hvae_core.prob import gaussian


class LatentLayer(keras.layers.Layer):
    """Posterior and prior of one latent, and its way into the residual stream.

    ``q: Block([x, features])``, ``p, h: Block(x)``, ``x <- x + h + W_z z``, ``x <- Block(x)``.

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
        middle = stage.decoder_middle_width
        context = 0
        if stage.flow is not None:
            channels = stage.flow.spec.context_channels
            context = channels(stage.flow.options, stage.latent_shape) if channels else 0
        self.posterior = build_block(
            config,
            block_shape(config, stage, middle, 2 * self.width + context, in_width=2 * stage.width),
            "posterior",
        )
        self.prior = build_block(
            config,
            block_shape(
                config,
                stage,
                middle,
                2 * self.width + (0 if ends_stream else stage.width),
                output_gain=0.0,
            ),
            "prior",
        )
        self.flow = None
        if stage.flow is not None:
            self.flow = stage.flow.build(stage.latent_shape, context, name="flow")
        if not ends_stream:
            gain = depth**-0.5
            self.projection = convolution(stage.width, 1, gain=gain, name="projection")
            self.residual = build_block(
                config,
                block_shape(config, stage, middle, stage.width, residual=True, output_gain=gain),
                "residual",
            )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        stage = self.stage
        shape = (None, *stage.size, stage.width)
        self.posterior.build((*shape[:3], 2 * stage.width))
        self.prior.build(shape)
        if self.flow is not None and not self.flow.built:
            self.flow.build((None, *stage.latent_shape))
        if not self.ends_stream:
            self.projection.build((None, *stage.latent_shape))
            self.residual.build(shape)

    def _gaussian(self, channels: Tensor) -> GaussianParameters:
        return gaussian.parameters(
            channels[..., : self.width],
            channels[..., self.width : 2 * self.width],
            self.parametrisation,
            self.beta,
        )

    def _posterior(self, x: Tensor, features: Tensor) -> LayerPosterior:
        channels = self.posterior(ops.concatenate([x, features], axis=-1))
        context = channels[..., 2 * self.width :]
        return LayerPosterior(self._gaussian(channels), context if context.shape[-1] else None)

    def _update(self, x: Tensor, prior_channels: Tensor, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """The residual stream after this layer, and the prior's part in it (None: it ended)."""
        if self.ends_stream:
            return x, None
        h = prior_channels[..., 2 * self.width :]
        x = x + h + self.projection(z)
        return self.residual(x), h

    def infer(
        self, x: Tensor, features: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor | None, LatentOutput]:
        """Draw the latent from the posterior and go on.

        Args:
            x: the residual stream [B, H, W, width].
            features: the encoder's [B, H, W, width].
            noise: standard normal [B, H, W, latent width].

        Returns:
            The stream after this layer, the prior's part in it, and the rest.
        """
        output, prior_channels = self.latent(x, features, noise)
        return *self._update(x, prior_channels, output.z), output

    def latent(self, x: Tensor, features: Tensor, noise: Tensor) -> tuple[LatentOutput, Tensor]:
        """The latent drawn from the posterior, and the prior's channels; arguments as `infer`."""
        q, context = self._posterior(x, features)
        prior_channels = self.prior(x)
        p = self._gaussian(prior_channels)
        z = gaussian.draw(q, noise)
        if self.flow is None:
            kl = gaussian.sum_event(gaussian.kl_divergence(q, p))
            log_det = ops.zeros_like(kl)
        else:
            start = z
            z, log_det = self.flow.forward(start, context)
            kl = gaussian.flow_kl(q, p, noise, start, z, log_det)
        return LatentOutput(z, kl, log_det, q, p, noise, context), prior_channels

    def posterior_along(
        self, x: Tensor, features: Tensor, z: Tensor
    ) -> tuple[Tensor, Tensor | None, LayerPosterior]:
        """The posterior, and the stream when the latent is ``z`` whatever that is; as `infer`."""
        posterior = self._posterior(x, features)
        return *self._update(x, self.prior(x), z), posterior

    def generate(
        self,
        x: Tensor,
        noise: Tensor,
        temperature: Tensor | float,
        given: Tensor | None = None,
        is_given: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Draw the latent from the prior, its standard deviation times ``temperature``.

        Args:
            x: the residual stream [B, H, W, width].
            noise: standard normal [B, H, W, latent width].
            temperature: a number or a scalar tensor.
            given: the latent to use instead.
            is_given: a scalar tensor: above 1/2, ``noise`` is itself the latent to use.

        Returns:
            The stream after this layer, the prior's part in it, and the latent.
        """
        prior_channels = self.prior(x)
        if given is None:
            p = self._gaussian(prior_channels)
            given = p.mean + temperature * ops.exp(p.log_std) * noise
            if is_given is not None:
                given = ops.where(is_given > 0.5, noise, given)
        return *self._update(x, prior_channels, given), given
