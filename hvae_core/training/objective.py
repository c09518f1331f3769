"""The training loss of a hierarchical VAE, term by term as the papers write it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
from keras import ops

from hvae_core.backends.processes import mean_over_processes
from hvae_core.interfaces import Batch, LatentOutput, Regularizer, Tensor
from hvae_core.model.network import HierarchicalNetwork
from hvae_core.prob.noise import Noise


class Loss(NamedTuple):
    """The loss, a scalar in nats per dimension, and its terms by name.

    The terms are of the images without a regularizer's copies: ``distortion``, ``rate`` and, where
    there is one, ``regularizer`` in nats per dimension, and ``kl_per_layer`` [L] in nats.
    """

    total: Tensor
    terms: dict[str, Tensor]


class Objective:
    """``loss = (beta R + D + C) / dim``, averaged over the images of a batch or micro-batch.

    ``dim`` is the number of values of an image, so that gradient norms and thresholds mean the
    same for every data set. Where a regularizer makes copies of the images, D and R are summed over
    an image's rows.

    Args:
        network: the model.
        regularizer: gives C; None: there is none.
        balances: whether R may be balanced, see `balanced_rate`.
        scaled: whether the balance goes by the KL of a latent's element, see `balanced_rate`.
        free_bits: nats that each layer may hold without cost, see `floored_rate`.
    """

    def __init__(
        self,
        network: HierarchicalNetwork,
        regularizer: Regularizer | None = None,
        balances: bool = False,
        scaled: bool = True,
        free_bits: float = 0.0,
    ) -> None:
        self.network, self.regularizer = network, regularizer
        self.balances, self.scaled = balances, scaled
        self.free_bits = free_bits
        self.copies = regularizer.copies if regularizer else 1
        #: what it reads and keeps beside the network's weights
        self.variables: list[keras.Variable] = []
        self.state: Mapping[str, keras.Variable] = {}
        self.dimensions = math.prod(network.image_shape)

    def restored(self) -> None:
        """When the network and `state` have the weights of a checkpoint."""

    def __call__(self, batch: Batch | Tensor, noise: Noise, beta: Tensor, balanced: Tensor) -> Loss:
        """The loss of a batch.

        Args:
            batch: images [B, H, W, C], with a regularizer its `Regularizer.views` of them; or a
                `Batch` of them and what the model is given beside them.
            noise: standard-normal numbers for each latent layer and row.
            beta: weight of the rate.
            balanced: whether the rate is balanced in this update, where it may be.
        """
        batch = Batch.of(batch)
        out = self.network.infer(batch.images, noise, batch.inputs, batch.condition)

        # 1. Distortion: D = -log p(x | z), at z drawn from the posterior.
        distortion = -out.log_likelihood

        # 2. Rate: R = sum_l KL(q(z_l | z_<l, x) || p(z_l | z_<l)).
        rate = floored_rate(out.layers, self.free_bits) if self.free_bits else out.kl
        if self.balances:
            rate = ops.where(balanced, balanced_rate(out.layers, self.scaled), rate)

        loss = ops.mean(beta * rate + distortion) / (self.dimensions / self.copies)
        own = slice(batch.images.shape[0] // self.copies)
        terms = {
            "distortion": ops.mean(distortion[own]) / self.dimensions,
            "rate": ops.mean(out.kl[own]) / self.dimensions,
            "kl_per_layer": ops.stack([ops.mean(layer.kl[own]) for layer in out.layers]),
        }

        # 3. Regularizer: C, of the posteriors; beta does not touch it, no bound contains it.
        if self.regularizer is not None:
            penalty = self.regularizer.penalty(out, self.network)
            terms["regularizer"] = ops.mean(penalty) / self.dimensions
            loss = loss + terms["regularizer"]
        return Loss(loss, terms)


def floored_rate(layers: Sequence[LatentOutput], free_bits: float) -> Tensor:
    """The rate with free bits, [B] in nats (Kingma et al. 2016, arXiv 1606.04934, eq. 15).

    Its mean is ``sum_i max(free_bits, k_i)``, k_i the micro-batch's mean KL of layer i: a layer
    below has no gradient of the KL, and nothing is gained by its falling further.

    Args:
        layers: of a posterior pass; each is a group of its own.
        free_bits: of each layer, in nats.
    """
    is_free = ops.stop_gradient(_mean_kl(layers)) <= free_bits  # false of NaN, which is to be seen
    kl = ops.stack([layer.kl for layer in layers], axis=-1)
    return ops.sum(ops.where(is_free, free_bits, kl), axis=-1)


def balanced_rate(layers: Sequence[LatentOutput], scaled: bool = True) -> Tensor:
    """Efficient-VDVAE's rate early in training, [B] in nats (Hazami et al. 2022; from NVAE).

    ``sum_i stop_gradient(alpha_i) KL_i`` with `balance`'s alpha.
    """
    kl = ops.stack([layer.kl for layer in layers], axis=-1)
    return ops.sum(ops.stop_gradient(balance(layers, scaled)) * kl, axis=-1)


def balance(layers: Sequence[LatentOutput], scaled: bool = True) -> Tensor:
    """The layers' weights [L]: ``alpha_i = L k_i / sum k``, k_i layer i's mean KL, 0 to L.

    With a flow a KL is the estimate of one draw, which may be below 0 where the KL is near it: it
    counts as 0, so that no KL is maximised and none divided by a sum that cancels.

    Args:
        layers: of a posterior pass.
        scaled: k_i is divided by the number of the latent's elements, as in both papers' code, so
            that layers of equal nats an element weigh the same at any scale.
    """
    mean = ops.maximum(_mean_kl(layers), 0.0)
    if scaled:
        sizes = [math.prod(layer.z.shape[1:]) for layer in layers]
        mean = mean / ops.convert_to_tensor(sizes, dtype=mean.dtype)
    return len(layers) * mean / ops.maximum(ops.sum(mean), 1e-12)


def _mean_kl(layers: Sequence[LatentOutput]) -> Tensor:
    """Each layer's mean KL [L] in nats over the micro-batch, in all processes."""
    (mean,) = mean_over_processes([ops.stack([ops.mean(layer.kl) for layer in layers])])
    return mean
