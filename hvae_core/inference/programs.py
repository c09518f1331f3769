"""The programs of a model: functions of tensors, with named inputs and outputs.

`Generate` goes from latents to images, `Infer` from images to latents and densities. Every verb is
made of their outputs, of which an engine computes only those that are asked for. `graphs` are the
same two with all their outputs, for export.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from hvae_core.interfaces import LatentOutput, PassOutput, Pruned, Tensor, TensorSpec

if TYPE_CHECKING:
    from hvae_core.model.network import HierarchicalNetwork


@dataclasses.dataclass(frozen=True)
class Generate:
    """Latents to images.

    Inputs: ``noise``, L arrays [B, h, w, c], coarsest layer first; ``given`` [L], 1 where a
    layer's ``noise`` is itself the latent to use, else 0 (all 0 where it is not there);
    ``temperature``, a number or [L] (1 where it is not there); ``pixels`` [B, H, W, n] for the
    output ``images``; of a conditional model ``condition`` [B, ...] and, where each layer's prior
    is to be moved from that of the null condition, the number ``guidance``.

    Args:
        outputs: ``images``, drawn, uint8 or float32 with other native values; ``mean`` float32, the
            likelihood's; both [B, H, W, C].
    """

    outputs: tuple[str, ...]

    @property
    def purpose(self) -> str:
        """What it is for, in words."""
        return "drawing of images"

    def compute(self, network: HierarchicalNetwork, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """The outputs, in-graph."""
        parameters = network.generate(
            list(inputs["noise"]),
            inputs.get("temperature", 1.0),
            are_given=inputs.get("given"),
            condition=inputs.get("condition"),
            guidance=inputs.get("guidance"),
        )
        return {name: _IMAGES[name](network, parameters, inputs) for name in self.outputs}


@dataclasses.dataclass(frozen=True)
class Infer:
    """Images to latents and densities.

    Inputs: ``images`` [B, H, W, C]; ``noise``, arrays [B, h, w, c], coarsest layer first, for
    the layers that are passed (none for ``features`` alone); ``pixels`` [B, H, W, n] for the output
    ``reconstruction``; ``inputs`` [B, H, W, C'], what the encoder sees, where that is not the
    images; ``condition`` [B, ...] of a conditional model (not for ``features`` alone).

    Args:
        outputs: of an image, in nats: ``log_likelihood`` [B], ``kl_per_layer`` [B, L],
            ``log_ratio`` [B] (``log p(z) - log q(z|x)``) and ``log_weight`` [B], its sum with the
            log-likelihood; ``reconstruction``, drawn from all latents. Lists with an array
            a layer: those of `LAYERED`; ``standardised`` is the noise with which the prior would
            have drawn the latent, ``kl`` a layer's [B]. ``features``: a list with the encoder's
            [B, h, w, c] in float32, finest scale first.
        layers: the lists are of so many leading layers; None: of all. Where only lists are wanted,
            the pass ends there.
        prunes: channels of the latents are replaced by draws from the prior. Further inputs:
            ``kept``, [c] a layer, 1 where a channel is the posterior's; ``prior_noise`` as
            ``noise``.
        from_features: the encoder's pass is left out, its output ``features`` being an input.
    """

    outputs: tuple[str, ...]
    layers: int | None = None
    prunes: bool = False
    from_features: bool = False

    @property
    def purpose(self) -> str:
        """What it is for, in words."""
        is_evaluation = any(name in _DENSITIES for name in self.outputs)
        return "evaluation of images" if is_evaluation else "encoding of images"

    def compute(self, network: HierarchicalNetwork, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs, in-graph."""
        from keras import ops

        seen = inputs.get("inputs")
        if self.outputs == ("features",):
            features = network.bottom_up(inputs["images"] if seen is None else seen)
            return {"features": [ops.cast(scale, "float32") for scale in features]}
        noise, condition = list(inputs["noise"]), inputs.get("condition")
        pruned = None
        if self.prunes:
            pruned = list(map(Pruned, inputs["kept"], inputs["prior_noise"]))
        if set(self.outputs) <= LAYERED.keys() and not self.from_features:
            given = inputs["images"] if seen is None else seen
            latents = network.posteriors(given, noise, self.layers, condition, pruned)
            return {name: [LAYERED[name](layer) for layer in latents] for name in self.outputs}
        shared = list(inputs["features"]) if self.from_features else None
        out = network.infer(inputs["images"], noise, seen, condition, pruned, shared)
        results: dict[str, Any] = {}
        for name in self.outputs:
            if name in LAYERED:
                results[name] = [LAYERED[name](layer) for layer in out.layers[: self.layers]]
            elif name == "features":
                results[name] = [ops.cast(scale, "float32") for scale in out.features]
            elif name == "reconstruction":
                results[name] = network.likelihood.sample(out.parameters, inputs["pixels"])
            else:
                results[name] = _DENSITIES[name](out)
        return results


@dataclasses.dataclass(frozen=True)
class Complete:
    """The encoder's features to latents and images: the way down of `Infer`, without the way up.

    Inputs: ``features``, arrays [B, h, w, c], finest scale first; ``noise``, arrays [B, h, w, c],
    coarsest layer first, for the layers that are passed; ``pixels`` [B, H, W, n] for the output
    ``images``; ``condition`` [B, ...] of a conditional model.

    Args:
        outputs: ``images`` and ``mean`` as of `Generate`, with all latents from the posterior; or
            ``latent``, a list of the first ``layers``.
        layers: how many layers the pass goes through for ``latent``; None: all.
    """

    outputs: tuple[str, ...]
    layers: int | None = None

    @property
    def purpose(self) -> str:
        """What it is for, in words."""
        return "completion of images"

    def compute(self, network: HierarchicalNetwork, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs, in-graph."""
        features, noise = list(inputs["features"]), list(inputs["noise"])
        embedding = network.embed(inputs.get("condition"))
        if self.outputs == ("latent",):
            depth = self.layers or len(network.latent_shapes)
            latents = network.descend(features, noise, depth, embedding)[1]
            return {"latent": [layer.z for layer in latents]}
        stream, latents = network.descend(features, noise, embedding=embedding)
        parameters = network.read_out([layer.z for layer in latents], stream, embedding)
        results: dict[str, Any] = {
            name: output(network, parameters, inputs)
            for name, output in _IMAGES.items()
            if name in self.outputs
        }
        if "latent" in self.outputs:
            results["latent"] = [layer.z for layer in latents]
        return results


InferenceProgram: TypeAlias = Generate | Infer | Complete


def _standardised(layer: LatentOutput) -> Tensor:
    from keras import ops

    return (layer.z - layer.prior.mean) * ops.exp(-layer.prior.log_std)


def _kl_per_layer(out: PassOutput) -> Tensor:
    from keras import ops

    return ops.stack([layer.kl for layer in out.layers], axis=-1)


def _sum(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _log_ratios(out: PassOutput) -> list[Tensor]:
    from hvae_core.prob.elbo import log_ratio

    return [log_ratio(layer) for layer in out.layers]


_IMAGES: dict[str, Callable[..., Tensor]] = {
    "images": lambda network, p, inputs: network.likelihood.sample(p, inputs["pixels"]),
    "mean": lambda network, parameters, inputs: network.likelihood.mean(parameters),
}
_DENSITIES: dict[str, Callable[[PassOutput], Tensor]] = {
    "log_likelihood": lambda out: out.log_likelihood,
    "kl_per_layer": _kl_per_layer,
    "log_ratio": lambda out: _sum(_log_ratios(out)),
    # No analytic KL enters: mixed into the mean of weights it would give no bound.
    "log_weight": lambda out: _sum([out.log_likelihood, *_log_ratios(out)]),
}
#: outputs with an array a latent layer
LAYERED: dict[str, Callable[[LatentOutput], Tensor]] = {
    "latent": lambda layer: layer.z,
    "posterior_mean": lambda layer: layer.posterior.mean,
    "posterior_log_std": lambda layer: layer.posterior.log_std,
    "prior_mean": lambda layer: layer.prior.mean,
    "prior_log_std": lambda layer: layer.prior.log_std,
    "kl": lambda layer: layer.kl,
    "standardised": _standardised,
}


@dataclasses.dataclass(frozen=True)
class Graph:
    """A function to export: its name, its inputs, and itself, from tensors to named tensors."""

    name: str
    inputs: tuple[TensorSpec, ...]
    function: Callable[..., dict[str, Tensor]]


def graphs(network: HierarchicalNetwork, completes: bool = False) -> tuple[Graph, ...]:
    """The graphs of a network: ``generator`` and ``posterior``, and up to two more.

    With a null condition there is ``guided`` too, the generator with one input more.

    Args:
        network: the network.
        completes: whether there is ``completion`` too, the posterior pass without the encoder:
            where the configuration has a measurement.
    """
    values = network.condition_values
    guided = (generator(network, guided=True),) if values is not None and values.has_null else ()
    further = (*guided, *((completion(network),) if completes else ()))
    return generator(network), posterior(network), *further


def further_inputs(network: HierarchicalNetwork, encodes: bool) -> list[TensorSpec]:
    """``condition``, and for what ``encodes`` ``inputs``, where the model has such."""
    found = []
    if encodes and network.encoder_shape != network.image_shape:
        found.append(TensorSpec("inputs", (None, *network.encoder_shape)))
    values = network.condition_values
    if values is not None:
        found.append(TensorSpec("condition", (None, *values.shape), values.dtype))
    return found


def noise_inputs(network: HierarchicalNetwork) -> list[TensorSpec]:
    """``noise_0`` and on: one array for each latent layer, coarsest first."""
    return [
        TensorSpec(f"noise_{layer}", (None, *shape))
        for layer, shape in enumerate(network.latent_shapes)
    ]


def pixel_input(network: HierarchicalNetwork) -> TensorSpec:
    """``pixels``: the uniform numbers with which the likelihood draws."""
    height, width, _ = network.image_shape
    return TensorSpec("pixels", (None, height, width, network.likelihood.noise_channels()))


def generator(network: HierarchicalNetwork, guided: bool = False) -> Graph:
    """`Generate` for any number of given latents.

    Inputs: ``noise_l``; ``given`` [L]; ``temperature`` [L]; ``pixels``; ``condition`` where there
    is one; ``guidance`` [1] where ``guided``. Outputs: ``images`` and ``mean``.
    """
    vector = (layers := len(network.latent_shapes),)

    def function(*tensors: Tensor) -> dict[str, Tensor]:
        given, temperature, pixels, *more = tensors[layers:]
        parameters = network.generate(
            tensors[:layers],
            temperature,
            are_given=given,
            condition=more[0] if more else None,
            guidance=more[1] if guided else None,
        )
        inputs = {"pixels": pixels}
        return {name: output(network, parameters, inputs) for name, output in _IMAGES.items()}

    inputs = [TensorSpec("given", vector), TensorSpec("temperature", vector), pixel_input(network)]
    inputs += further_inputs(network, encodes=False)
    inputs += [TensorSpec("guidance", (1,))] if guided else []
    name = "guided" if guided else "generator"
    return Graph(name, (*noise_inputs(network), *inputs), function)


def posterior(network: HierarchicalNetwork) -> Graph:
    """`Infer` with all outputs but the ones that are sums of others.

    Inputs: ``images`` [B, H, W, C], uint8 or float32 with other native values, ``noise_l``,
    ``pixels``; ``inputs`` [B, H, W, C'] where the encoder sees further channels, and
    ``condition`` where the model has one. The lists' arrays are outputs of
    their own: ``latent_l`` and so on for each layer, ``features_s`` for each scale, finest first.
    """
    dtype = network.image_values.tensor_dtype
    images = TensorSpec("images", (None, *network.image_shape), dtype)
    densities = ("log_likelihood", "kl_per_layer", "log_ratio", "reconstruction")
    program = Infer((*densities, *LAYERED, "features"))
    further = further_inputs(network, encodes=True)
    layers = len(network.latent_shapes)

    def function(x: Tensor, *tensors: Tensor) -> dict[str, Tensor]:
        inputs = {"images": x, "noise": tensors[:layers], "pixels": tensors[layers]}
        names = [spec.name for spec in further]
        inputs |= dict(zip(names, tensors[layers + 1 :], strict=True))
        results = program.compute(network, inputs)
        flat = {name: results[name] for name in densities}
        for layer in range(len(network.latent_shapes)):
            flat |= {f"{name}_{layer}": results[name][layer] for name in LAYERED}
        return flat | {f"features_{s}": scale for s, scale in enumerate(results["features"])}

    own = (images, *noise_inputs(network), pixel_input(network))
    return Graph("posterior", (*own, *further), function)


def completion(network: HierarchicalNetwork) -> Graph:
    """`Complete` with all outputs.

    Inputs: ``features_s`` for each scale, finest first, ``noise_l``, ``pixels``, and ``condition``
    where the model has one. Outputs: ``images``, ``mean`` and ``latent_l``.
    """
    scales = [
        TensorSpec(f"features_{place}", (None, *shape))
        for place, shape in enumerate(network.feature_shapes)
    ]
    layers = len(network.latent_shapes)
    more = further_inputs(network, encodes=False)
    program = Complete(("images", "mean", "latent"))

    def function(*tensors: Tensor) -> dict[str, Tensor]:
        features, rest = tensors[: len(scales)], tensors[len(scales) :]
        inputs = {"features": features, "noise": rest[:layers], "pixels": rest[layers]}
        conditions = zip(more, rest[layers + 1 :], strict=True)
        inputs |= {spec.name: tensor for spec, tensor in conditions}
        results = program.compute(network, inputs)
        latents = {f"latent_{place}": z for place, z in enumerate(results.pop("latent"))}
        return results | latents

    return Graph(
        "completion", (*scales, *noise_inputs(network), pixel_input(network), *more), function
    )
