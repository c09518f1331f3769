"""What an exported model consists of: two functions of tensors, named inputs, named outputs.

``generator`` draws images from the prior, or from given latents; ``posterior`` encodes images. All
that `hvae_core.inference` and `hvae_core.evaluation` compute is made of their outputs, of which a
runtime computes only those that are asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hvae_core.interfaces import Tensor
from hvae_core.interfaces.tensor_spec import TensorSpec

if TYPE_CHECKING:
    from hvae_core.model import HierarchicalVAE


@dataclasses.dataclass(frozen=True)
class Graph:
    """A function to export: its name, its inputs, and itself, from tensors to named tensors."""

    name: str
    inputs: tuple[TensorSpec, ...]
    function: Callable[..., dict[str, Tensor]]


def graphs(model: HierarchicalVAE) -> tuple[Graph, Graph]:
    """The two graphs of ``model``."""
    return generator(model), posterior(model)


def noise_inputs(model: HierarchicalVAE) -> list[TensorSpec]:
    """``noise_0`` and on: one array for each latent layer, coarsest first."""
    return [
        TensorSpec(f"noise_{layer}", (None, *shape))
        for layer, shape in enumerate(model.latent_shapes)
    ]


def pixel_input(model: HierarchicalVAE) -> TensorSpec:
    """``pixels``: the uniform numbers with which the likelihood draws."""
    height, width, _ = model.image_shape
    return TensorSpec("pixels", (None, height, width, model.likelihood.noise_channels()))


def generator(model: HierarchicalVAE) -> Graph:
    """Latents to images.

    Inputs: ``noise_l``; ``given`` [L], 1 where ``noise_l`` is itself the latent to use, else 0;
    ``temperature`` [L]; ``pixels``. Outputs: ``images`` uint8, drawn; ``mean`` float32, the
    likelihood's; both [B, H, W, C].
    """
    layers = len(model.latent_shapes)
    vector = (layers,)

    def function(*tensors: Tensor) -> dict[str, Tensor]:
        given, temperature, pixels = tensors[layers:]
        parameters = model.generate(tensors[:layers], temperature, are_given=given)
        return {
            "images": model.likelihood.sample(parameters, pixels),
            "mean": model.likelihood.mean(parameters),
        }

    inputs = [TensorSpec("given", vector), TensorSpec("temperature", vector), pixel_input(model)]
    return Graph("generator", (*noise_inputs(model), *inputs), function)


def posterior(model: HierarchicalVAE) -> Graph:
    """Images to latents and densities.

    Inputs: ``images`` uint8 [B, H, W, C], ``noise_l``, ``pixels``. Outputs, in nats:
    ``log_likelihood`` [B], ``kl_per_layer`` [B, L], ``log_ratio`` [B] (``log p(z) - log q(z|x)``);
    ``reconstruction`` uint8, drawn from all latents; and for each layer ``latent_l``,
    ``posterior_mean_l`` and ``standardised_l``, the noise with which the prior would have drawn
    the latent.
    """
    images = TensorSpec("images", (None, *model.image_shape), "uint8")

    def function(x: Tensor, *tensors: Tensor) -> dict[str, Tensor]:
        from keras import ops

        out = model.forward(x, tensors[:-1])
        results = {
            "log_likelihood": out.log_likelihood,
            "kl_per_layer": ops.stack([layer.kl for layer in out.layers], axis=-1),
            "log_ratio": _total([layer.log_ratio for layer in out.layers]),
            "reconstruction": model.likelihood.sample(out.parameters, tensors[-1]),
        }
        for place, layer in enumerate(out.layers):
            prior = layer.prior
            results[f"latent_{place}"] = layer.z
            results[f"posterior_mean_{place}"] = layer.posterior.mean
            results[f"standardised_{place}"] = (layer.z - prior.mean) * ops.exp(-prior.log_std)
        return results

    return Graph("posterior", (images, *noise_inputs(model), pixel_input(model)), function)


def _total(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
