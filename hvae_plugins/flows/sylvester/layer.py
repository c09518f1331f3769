"""Amortised Sylvester flows (van den Berg et al. 2018)."""

from __future__ import annotations

import keras
from keras import ops

from hvae_core.config import single
from hvae_core.errors import ConfigError
from hvae_core.interfaces import FlowOutput, Shape3, Tensor
from hvae_core.layers import ScaledUniform
from hvae_plugins.flows.dense import Head
from hvae_plugins.flows.flat import FlatFlow
from hvae_plugins.flows.householder import reflect
from hvae_plugins.flows.monotone import root
from hvae_plugins.flows.sylvester import SylvesterConfig


def orthonormal_columns(vectors: Tensor) -> Tensor:
    """H_1 ... H_M I: vectors [..., M, D] -> [..., D, M], orthonormal to rounding."""
    count, size = vectors.shape[-2:]
    q = ops.eye(size, count, dtype=vectors.dtype)
    q = q + ops.zeros_like(ops.swapaxes(vectors, -1, -2))
    for index in reversed(range(count)):
        q = reflect(q, vectors[..., index, :], axis=-2)
    return q


def bjorck(matrix: Tensor, iterations: int) -> Tensor:
    """The polar factor of matrix [..., D, M] by Bjorck's iteration, A (3/2 I - 1/2 A^T A)."""
    squares = ops.sum(matrix * matrix, axis=(-2, -1), keepdims=True)
    q = matrix / ops.sqrt(squares + 1e-30)
    for _ in range(iterations):
        q = 1.5 * q - 0.5 * (q @ (ops.swapaxes(q, -1, -2) @ q))
    return q


class Sylvester(FlatFlow):
    """``z' = z + Q R1 tanh(R2 Q^T z + b)``, K times (van den Berg et al. 2018, equation 13).

    R1 and R2 are upper triangular with diagonals in (-1, 1), Q has orthonormal columns:
    ``log_det = sum_i log1p((1 - tanh^2 a_i) r1_ii r2_ii)`` (theorem 2), which is exact. All
    parameters are dense functions of the posterior's context. Starts as the identity.

    Args:
        config: the options.
        latent_shape: [H, W, C] of the latent.
        context_channels: of the context [B, H, W, context_channels].
        name: the layer's name.
    """

    invertible = "exact"

    def __init__(
        self, config: SylvesterConfig, latent_shape: Shape3, context_channels: int, name: str
    ) -> None:
        super().__init__(config, latent_shape, context_channels, name)
        self._need_context("sylvester")
        self.flows = single(config.flows, "flows")
        orthogonal = config.variant == "orthogonal"
        vectors = single(config.orthogonal_vectors, "orthogonal_vectors")
        if orthogonal and not 1 <= vectors <= self.size:
            raise ConfigError(
                f"model.flow.orthogonal_vectors is {vectors} for a latent of "
                f"shape {list(latent_shape)}; expected 1 to its {self.size} numbers.",
                "Give one value a scale, or a smaller one.",
            )
        self.rank = vectors if orthogonal else self.size
        rows = {"orthogonal": self.rank, "householder": single(config.reflections), "triangular": 0}
        self.vectors = rows[config.variant]
        flows, rank = self.flows, self.rank
        self.triangles = self._head("triangles", flows * rank * rank, 0.0)
        self.diagonal1 = self._head("diagonal1", flows * rank, 0.0)
        self.diagonal2 = self._head("diagonal2", flows * rank, 1.0)
        self.shifts = self._head("shifts", flows * rank, 1.0)
        self.basis = None
        if self.vectors:
            self.basis = self._head(
                "basis", flows * self.vectors * self.size, 1.0,
                bias=keras.initializers.RandomNormal(stddev=1.0),
            )  # fmt: skip

    def _head(
        self, name: str, units: int, gain: float, bias: str | keras.Initializer = "zeros"
    ) -> Head:
        return Head(
            units,
            kernel_initializer=ScaledUniform(gain),
            bias_initializer=bias,
            dtype=self.precision,
            name=name,
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for head in (self.triangles, self.diagonal1, self.diagonal2, self.shifts, self.basis):
            if head is not None:
                head.build((None, self.context_size))
        self.built = True

    def _amortised(self, context: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
        """R1 and R2 [B, M, M], b [B, M] and Q [B, D, M] (None: triangular) of each layer."""
        config, rank = self.config, self.rank
        h = self._flat(context, self.context_size)
        triangles = ops.reshape(self.triangles(h), (-1, rank, rank, self.flows))
        bound = config.diagonal_bound
        shape = (-1, rank, self.flows)
        diagonal1 = bound * ops.tanh(ops.reshape(self.diagonal1(h), shape))
        diagonal2 = bound * ops.tanh(ops.reshape(self.diagonal2(h), shape))
        shifts = ops.reshape(self.shifts(h), shape)
        bases = self._bases(h)
        eye = ops.eye(rank, dtype=self.precision)
        found = []
        for k in range(self.flows):
            d = triangles[..., k]
            r1 = ops.triu(d, 1) + eye * diagonal1[:, :, None, k]
            r2 = ops.triu(ops.swapaxes(d, 1, 2), 1) + eye * diagonal2[:, :, None, k]
            found.append((r1, r2, shifts[..., k], None if bases is None else bases[:, k]))
        return found

    def _bases(self, h: Tensor) -> Tensor | None:
        """Q of all layers [B, K, D, M], None for the triangular variant."""
        if self.basis is None:
            return None
        config = self.config
        raw = self.basis(h)
        if config.variant == "orthogonal":
            if config.orthogonalization == "bjorck":
                raw = ops.reshape(raw, (-1, self.flows, self.size, self.rank))
                return bjorck(raw, config.bjorck_iterations)
            return orthonormal_columns(ops.reshape(raw, (-1, self.flows, self.rank, self.size)))
        vectors = ops.reshape(raw, (-1, self.flows, self.vectors, self.size))
        # Broadcast by adding: a column of zeros [B, K, D, 1].
        q = ops.eye(self.size, dtype=self.precision) + ops.zeros_like(vectors[:, :, 0, :, None])
        for index in range(self.vectors):
            q = reflect(q, vectors[..., index, :], axis=-2)
        return q

    def _project(self, q: Tensor | None, z: Tensor, layer: int) -> Tensor:
        """Q^T z: [B, D] -> [B, M]."""
        if q is None:
            return z if layer % 2 == 0 else ops.flip(z, axis=-1)
        return ops.sum(q * z[..., None], axis=-2)

    def _lift(self, q: Tensor | None, y: Tensor, layer: int) -> Tensor:
        """Q y: [B, M] -> [B, D]."""
        if q is None:
            return y if layer % 2 == 0 else ops.flip(y, axis=-1)
        return ops.sum(q * y[:, None, :], axis=-1)

    def forward(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """See `Flow.forward`; ``context`` is [B, H, W, context_channels]."""
        x = self._flat(z, self.size)
        total = ops.zeros_like(x[:, 0])
        for layer, (r1, r2, b, q) in enumerate(self._amortised(context)):
            activation = ops.tanh(product(r2, self._project(q, x, layer)) + b)
            x = x + self._lift(q, product(r1, activation), layer)
            total = total + log_det(r1, r2, activation)
        return self._output(x, total)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """See `Flow.inverse`: M monotone equations of one unknown each, solved by bisection."""
        x = self._flat(z, self.size)
        total = ops.zeros_like(x[:, 0])
        parameters = list(enumerate(self._amortised(context)))
        for layer, (r1, r2, b, q) in reversed(parameters):
            activation = self._solve(r1, r2, b, self._project(q, x, layer))
            x = x - self._lift(q, product(r1, activation), layer)
            total = total + log_det(r1, r2, activation)
        return self._output(x, total)

    def _solve(self, r1: Tensor, r2: Tensor, b: Tensor, y: Tensor) -> Tensor:
        """tanh(R2 w + b) of the w with w + R1 tanh(R2 w + b) = y, from the last entry up."""
        known: list[Tensor] = []  # w_i+1 ... w_M-1
        activations: list[Tensor] = []
        for i in reversed(range(self.rank)):
            target, offset = y[:, i], b[:, i]
            if known:
                later = slice(i + 1, None)
                offset = offset + ops.sum(r2[:, i, later] * ops.stack(known, -1), -1)
                target = target - ops.sum(r1[:, i, later] * ops.stack(activations, -1), -1)
            w = root(r1[:, i, i], r2[:, i, i], offset, target)
            known.insert(0, w)
            activations.insert(0, ops.tanh(r2[:, i, i] * w + offset))
        return ops.stack(activations, axis=-1)


def product(matrix: Tensor, vector: Tensor) -> Tensor:
    """[B, M, M] times [B, M], by elementwise products and sums."""
    return ops.sum(matrix * vector[:, None, :], axis=-1)


def log_det(r1: Tensor, r2: Tensor, activation: Tensor) -> Tensor:
    """Theorem 2: [B] in nats."""
    diagonals = ops.diagonal(r1, axis1=1, axis2=2) * ops.diagonal(r2, axis1=1, axis2=2)
    return ops.sum(ops.log1p((1.0 - activation**2) * diagonals), axis=-1)
