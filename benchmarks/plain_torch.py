"""The VDVAE of a configuration in plain, eager PyTorch: what hvae is timed against.

It computes what `hvae_core.vae.HierarchicalVAE` computes, and its parameters have the names of
hvae's weights, so that `load_weights` can give it the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.config import Config, ModelConfig, StageConfig
from hvae_core.interfaces import UINT8


def conv(inputs: int, outputs: int, kernel: int, gain: float = 1.0, stride: int = 1) -> nn.Conv2d:
    """A convolution with weights from U(-gain / sqrt(fan_in), gain / sqrt(fan_in)) and no bias."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0)
    with torch.no_grad():
        layer.weight.mul_(gain)  # PyTorch's own initial weights have a gain of 1
        layer.bias.zero_()
    return layer


class Bottleneck(nn.Module):
    """1x1, k x k, k x k, 1x1 convolutions, activation first."""

    def __init__(
        self, inputs: int, middle: int, outputs: int, kernel: int, activation: str,
        residual: bool = False, gain: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.residual = residual
        self.activate = getattr(F, activation)
        self.conv1 = conv(inputs, middle, 1)
        self.conv2 = conv(middle, middle, kernel)
        self.conv3 = conv(middle, middle, kernel)
        self.conv4 = conv(middle, outputs, 1, gain)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        h = x
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            h = layer(self.activate(h))
        return x + h if self.residual else h


class Transition(nn.Module):
    """From one scale's channels to the next one's."""

    def __init__(self, inputs: int, outputs: int, config: ModelConfig) -> None:
        super().__init__()
        self.outputs = outputs
        self.projection = None
        if config.channel_change == "projection":
            self.projection = conv(inputs, outputs, 1)
            self.activate = getattr(F, config.pool_activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        if self.projection is not None:
            return self.activate(self.projection(x))
        missing = self.outputs - x.shape[1]
        return F.pad(x, (0, 0, 0, 0, 0, missing)) if missing > 0 else x[:, : self.outputs]


class Encoder(nn.Module):
    """Features of each scale, finest first."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stages, patch = config.stages, config.patch_size
        self.stem = conv(
            config.image_channels, self.stages[0].width, patch if patch > 1 else 3, stride=patch
        )
        depth = sum(stage.encoder_blocks for stage in self.stages)
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleDict()
        for stage in self.stages:
            if stage.index:
                finer = self.stages[stage.index - 1].width
                self.transitions[str(stage.resolution)] = Transition(finer, stage.width, config)
            for _ in range(stage.encoder_blocks):
                self.blocks.append(
                    Bottleneck(
                        stage.width, stage.encoder_middle_width, stage.width, stage.kernel_size,
                        config.block_activation, residual=True, gain=depth**-0.5,
                    )
                )  # fmt: skip

    def forward(self, x: Tensor) -> list[Tensor]:
        """The standardised image [B, C, H, W] -> one [B, width, h, w] a scale."""
        h, features, blocks = self.stem(x), [], iter(self.blocks)
        for stage in self.stages:
            if stage.index:
                h = F.avg_pool2d(h, h.shape[-1] // stage.resolution)
                h = self.transitions[str(stage.resolution)](h)
            taken_after = stage.encoder_blocks - stage.pooling_block
            for number in range(stage.encoder_blocks):
                if number == taken_after:
                    features.append(h)
                h = next(blocks)(h)
            if not stage.pooling_block:
                features.append(h)
        return features


class LatentLayer(nn.Module):
    """Posterior, prior and the latent's way into the stream."""

    def __init__(self, config: ModelConfig, stage: StageConfig, depth: int, is_last: bool) -> None:
        super().__init__()
        self.config, self.is_last, self.latent = config, is_last, stage.latent_width
        width, middle, kernel = stage.width, stage.decoder_middle_width, stage.kernel_size
        activation, gain = config.block_activation, depth**-0.5
        self.posterior = Bottleneck(2 * width, middle, 2 * self.latent, kernel, activation)
        outputs = 2 * self.latent + (0 if is_last else width)
        self.prior = Bottleneck(width, middle, outputs, kernel, activation, gain=0.0)
        if not is_last:
            self.projection = conv(self.latent, width, 1, gain)
            self.residual = Bottleneck(width, middle, width, kernel, activation, True, gain)

    def log_std(self, value: Tensor) -> Tensor:
        """The log standard deviation from what a head gives."""
        if self.config.standard_deviation == "exp":
            return value
        beta = self.config.softplus_beta
        return torch.log(F.softplus(beta * value) / beta).clamp(min=-12.0)

    def forward(
        self, x: Tensor, noise: Tensor, features: Tensor | None, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The new stream, z and its KL [B] in nats; without features z is the prior's."""
        p_mean, p_value, h = self.prior(x).split(
            [self.latent, self.latent, 0 if self.is_last else x.shape[1]], dim=1
        )
        p_mean, p_value = p_mean.float(), p_value.float()
        p_log_std, kl = self.log_std(p_value), None
        if features is None:
            z = p_mean + temperature * p_log_std.exp() * noise
        else:
            q_mean, q_value = self.posterior(torch.cat([x, features], 1)).float().chunk(2, dim=1)
            q_log_std = self.log_std(q_value)
            z = q_mean + q_log_std.exp() * noise
            difference = q_log_std - p_log_std
            ratio = (q_mean - p_mean) * (-p_log_std).exp()
            kl = 0.5 * ((2.0 * difference).exp() + ratio.square() - 1.0) - difference
            kl = kl.flatten(1).sum(1)
        return (x if self.is_last else self.residual(x + h + self.projection(z))), z, kl


class Decoder(nn.Module):
    """The latent layers, coarsest first."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stages, depth = config.stages[::-1], len(config.latent_shapes)
        ends = config.readout.kind == "latents"
        if ends:
            last = max(i for i, stage in enumerate(self.stages) if stage.decoder_blocks)
            self.stages = self.stages[: last + 1]
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleDict()
        self.bias = nn.ParameterDict()
        for index, stage in enumerate(self.stages):
            side = stage.resolution
            if stage.learned_bias:
                self.bias[str(side)] = nn.Parameter(torch.zeros(1, stage.width, side, side))
            if index:
                coarser = self.stages[index - 1].width
                self.transitions[str(side)] = Transition(coarser, stage.width, config)
            for _ in range(stage.decoder_blocks):
                is_last = ends and len(self.blocks) == depth - 1
                self.blocks.append(LatentLayer(config, stage, depth, is_last))

    def forward(
        self, noise: Sequence[Tensor], features: Sequence[Tensor] | None, temperature: float = 1.0
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The last stream, the latents and their KL."""
        x: Tensor | None = None
        latents: list[Tensor] = []
        kls: list[Tensor] = []
        for stage in self.stages:
            side = str(stage.resolution)
            if x is None:
                shape = (len(noise[0]), stage.width, stage.resolution, stage.resolution)
                x = (
                    self.bias[side].expand(shape)
                    if side in self.bias
                    else noise[0].new_zeros(shape)
                )
            else:
                x = self.transitions[side](x)
                x = F.interpolate(x, scale_factor=stage.resolution // x.shape[-1])
                x = x + self.bias[side] if side in self.bias else x
            for _ in range(stage.decoder_blocks):
                given = None if features is None else features[stage.index]
                index = len(latents)
                x, z, kl = self.blocks[index](x, noise[index], given, temperature)
                latents.append(z)
                kls += [] if kl is None else [kl]
        return x, latents, kls


class LatentReadout(nn.Module):
    """The image from the latents."""

    def __init__(self, config: ModelConfig, outputs: int) -> None:
        super().__init__()
        options, self.stages = config.readout, config.stages[::-1]
        self.depth = len(config.latent_shapes)
        self.projections = nn.ModuleDict(
            {
                str(s.resolution): conv(
                    s.latent_width * s.decoder_blocks, options.width, 1, s.decoder_blocks**0.5
                )
                for s in config.stages
                if s.decoder_blocks
            }
        )
        self.activate = getattr(F, config.block_activation)
        self.mix = conv(options.width, options.width, 1)
        self.blocks = nn.Sequential(
            *(
                Bottleneck(
                    options.width, options.middle_width, options.width,
                    config.stages[0].kernel_size, config.block_activation, True,
                    options.blocks**-0.5,
                )
                for _ in range(options.blocks)
            )
        )  # fmt: skip
        self.last_activation = options.last_activation
        self.out = conv(options.width, outputs, 3)

    def forward(self, latents: Sequence[Tensor], x: Tensor) -> Tensor:
        """Latents, coarsest first -> the likelihood's parameters."""
        total, rest = None, list(latents)
        for stage in self.stages:
            if total is not None:
                total = F.interpolate(total, scale_factor=stage.resolution // total.shape[-1])
            if stage.decoder_blocks:
                group = torch.cat(rest[: stage.decoder_blocks], 1)
                rest = rest[stage.decoder_blocks :]
                part = self.projections[str(stage.resolution)](group)
                total = part if total is None else total + part
        h = self.activate(self.mix(total * self.depth**-0.5))
        h = self.blocks(h)
        return self.out(self.activate(h) if self.last_activation else h)


class FeatureReadout(nn.Module):
    """The image from the decoder's features."""

    def __init__(self, config: ModelConfig, outputs: int) -> None:
        super().__init__()
        width = config.stages[0].width
        self.gain, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.out = conv(width, outputs, 1)

    def forward(self, latents: Sequence[Tensor], x: Tensor) -> Tensor:
        """The stream -> the likelihood's parameters."""
        return self.out(x * self.gain[:, None, None] + self.bias[:, None, None])


class PlainVDVAE(nn.Module):
    """The model of a configuration with a mixture of logistics.

    Args:
        config: an hvae configuration.

    Raises:
        ValueError: it has an option that this model leaves out.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        m = config.model
        left_out = {
            "model.block": m.block.name != "bottleneck", "model.norm": m.norm != "none",
            "model.conv": m.conv != "dense", "model.top": m.top != "learned",
            "model.flow": m.flow is not None, "model.attention": m.attention is not None,
            "model.readout.upsampling": m.readout.upsampling != "nearest",
            "model.pool_order": m.pool_order != "pool-first",
            "model.large_kernels": bool(m.large_kernels),
            "leaky_relu": "leaky_relu" in (m.block_activation, m.pool_activation),
            "likelihood": config.likelihood.name != "logistic-mixture",
        }  # fmt: skip
        if any(left_out.values()):
            names = ", ".join(key for key, given in left_out.items() if given)
            raise ValueError(f"the plain model has no such {names}")
        self.options, self.channels = m, m.image_channels
        self.is_mixed = config.train.precision == "mixed_bfloat16"
        self.mixtures = config.likelihood.options.mixtures
        self.levels = config.likelihood.options.levels or UINT8.levels
        self.mean = UINT8.center if m.input_mean is None else m.input_mean
        self.scale = UINT8.half_range if m.input_scale is None else m.input_scale
        per_pixel = self.mixtures * (1 + (3 if self.channels > 1 else 2) * self.channels)
        self.encoder, self.decoder = Encoder(m), Decoder(m)
        kind = LatentReadout if m.readout.kind == "latents" else FeatureReadout
        self.readout = kind(m, per_pixel * m.patch_size**2)

    def noise(self, rows: int, device: torch.device) -> list[Tensor]:
        """Standard-normal noise, one array [rows, c, h, w] a latent layer."""
        return [torch.randn(rows, c, h, w, device=device) for h, w, c in self.options.latent_shapes]

    def precision(self, device: torch.device) -> torch.autocast:
        """The hierarchy's, as ``train.precision`` says; densities and the readout are float32."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.is_mixed)

    def elbo(self, images: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Images [B, C, H, W] of 0 to 255 -> the bound [B] in nats."""
        x = (images.float() - self.mean) / self.scale
        with self.precision(x.device):
            stream, latents, kls = self.decoder(noise, self.encoder(x))
        level = torch.floor(images.float() * (self.levels / 256.0))
        x = level * (2.0 / (self.levels - 1)) - 1.0
        return self.log_prob(x, self.readout(latents, stream.float())) - sum(kls)

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Logits [B, M, H, W]; means, log scales and coefficients [B, C, M, H, W]."""
        patch, (rows, _, height, width) = self.options.patch_size, parameters.shape
        if patch > 1:
            p = parameters.reshape(rows, patch, patch, -1, height, width)
            parameters = p.permute(0, 3, 4, 1, 5, 2).reshape(
                rows, -1, patch * height, patch * width
            )
        logits, rest = parameters[:, : self.mixtures], parameters[:, self.mixtures :]
        rest = rest.reshape(rows, self.channels, -1, *parameters.shape[2:])
        parts = rest.split(self.mixtures, dim=2)
        coefficients = parts[2].tanh() if self.channels > 1 else None
        return logits, parts[0], parts[1].clamp(min=-7.0), coefficients

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Values [B, C, H, W] on the grid in [-1, 1] -> their log probability [B] in nats."""
        logits, means, log_scales, c = self.split(parameters)
        if c is not None:
            x1, x2 = x[:, 0:1], x[:, 1:2]
            means = torch.stack(
                [
                    means[:, 0],
                    means[:, 1] + c[:, 0] * x1,
                    means[:, 2] + c[:, 1] * x1 + c[:, 2] * x2,
                ],
                dim=1,
            )
        half = 1.0 / (self.levels - 1)
        x = x[:, :, None]
        centred, inverse = x - means, (-log_scales).exp()
        upper, lower = inverse * (centred + half), inverse * (centred - half)
        middle = inverse * centred
        mass = upper.sigmoid() - lower.sigmoid()
        density = middle - log_scales - 2.0 * F.softplus(middle) + math.log(2.0 * half)
        inner = torch.where(mass > 1e-5, mass.clamp(min=1e-12).log(), density)
        edge = 1.0 - 0.5 * half
        last = torch.where(x > edge, -F.softplus(lower), inner)
        values = torch.where(x < -edge, upper - F.softplus(upper), last)
        return (values.sum(1) + logits.log_softmax(1)).logsumexp(1).flatten(1).sum(1)

    def sample(self, rows: int, device: torch.device) -> Tensor:
        """Images uint8 [rows, C, H, W] from the prior."""
        with self.precision(device):
            stream, latents, _ = self.decoder(self.noise(rows, device), None)
        return self.draw(self.readout(latents, stream.float()))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] of 0 to 255 -> images uint8 drawn from all of their latents."""
        x = (images.float() - self.mean) / self.scale
        noise = self.noise(len(images), images.device)
        with self.precision(x.device):
            stream, latents, _ = self.decoder(noise, self.encoder(x))
        return self.draw(self.readout(latents, stream.float()))

    def draw(self, parameters: Tensor) -> Tensor:
        """The likelihood's parameters -> images uint8 [B, C, H, W]."""
        logits, means, log_scales, c = self.split(parameters)
        gumbel = -torch.log(-torch.log(torch.rand_like(logits).clamp(1e-5, 1 - 1e-5)))
        chosen = (logits + gumbel).argmax(1)[:, None, None]

        def pick(values: Tensor) -> Tensor:
            index = chosen.expand(-1, self.channels, -1, -1, -1)
            return values.gather(2, index)[:, :, 0]

        uniform = torch.rand_like(means[:, :, 0]).clamp(1e-5, 1 - 1e-5)
        x = pick(means) + pick(log_scales).exp() * (uniform.log() - (-uniform).log1p())
        if c is None:
            x = x.clamp(-1, 1)
        else:
            c = pick(c)
            x1 = x[:, 0].clamp(-1, 1)
            x2 = (x[:, 1] + c[:, 0] * x1).clamp(-1, 1)
            x3 = (x[:, 2] + c[:, 1] * x1 + c[:, 2] * x2).clamp(-1, 1)
            x = torch.stack([x1, x2, x3], dim=1)
        steps = self.levels - 1
        level = torch.round((x + 1.0) * (steps / 2.0))
        return torch.round(level * (255.0 / steps)).to(torch.uint8)

    def load_weights(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take hvae's weights, by hvae's names and in its layout (HWIO)."""
        state = {}
        for name, array in arrays.items():
            value = torch.from_numpy(np.array(array))
            if name.endswith(".kernel"):
                name, value = name.removesuffix("kernel") + "weight", value.permute(3, 2, 0, 1)
            elif name.startswith("decoder.bias."):
                value = value.permute(0, 3, 1, 2)
            state[name] = value.contiguous()
        self.load_state_dict(state)


class Trainer:
    """One update as hvae makes it: gradient, its norm, clipping, the update, averaged weights."""

    def __init__(self, model: PlainVDVAE, config: Config) -> None:
        self.model, self.options = model, config.train
        self.dimensions = math.prod(config.model.image_shape)
        self.parameters = list(model.parameters())
        self.averages = [p.detach().clone() for p in self.parameters]
        self.optimizer = self._optimizer(model)

    def _optimizer(self, model: PlainVDVAE) -> torch.optim.Optimizer:
        options = self.options
        kernels = [p for name, p in model.named_parameters() if name.endswith(".weight")]
        others = [p for name, p in model.named_parameters() if not name.endswith(".weight")]
        # Adamax has no decoupled decay of its own: see `step`.
        optimizer = options.optimizer.name
        self.decayed = kernels if optimizer == "adamax" else []
        decay = 0.0 if optimizer == "adamax" else options.weight_decay
        groups = [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0}]
        betas = (options.beta_1, options.beta_2)
        if optimizer == "adamax":
            return torch.optim.Adamax(groups, options.learning_rate, betas, options.epsilon)
        if optimizer == "adamw":
            return torch.optim.AdamW(groups, options.learning_rate, betas, options.epsilon)
        return torch.optim.SGD(groups, options.learning_rate, options.beta_1)

    def step(self, images: Tensor) -> float:
        """One update with images [B, C, H, W]; the loss in nats per dimension."""
        noise = self.model.noise(len(images), images.device)
        loss = -self.model.elbo(images, noise).mean() / self.dimensions
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.options.clip_norm or math.inf)
        if torch.isfinite(norm):
            with torch.no_grad():
                if self.decayed and self.options.weight_decay:
                    factor = 1.0 - self.options.learning_rate * self.options.weight_decay
                    torch._foreach_mul_(self.decayed, factor)
                self.optimizer.step()
                torch._foreach_lerp_(self.averages, self.parameters, 1.0 - self.options.ema_decay)
        return float(loss.detach())
