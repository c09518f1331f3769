"""The layers of a convolutional Sylvester flow, each with its log-determinant and inverse."""

from __future__ import annotations

from collections.abc import Iterable

import keras
from keras import ops

from hvae_core.interfaces import FlowOutput, Shape3, Tensor
from hvae_plugins.flows.conv_sylvester.convolutions import AutoregressiveNetwork, Convolution
from hvae_plugins.flows.conv_sylvester.exponential import bounded, exponential
from hvae_plugins.flows.householder import reflect_all

#: largest error of the inverse, of what is 1 or less, and how many iterations it may take
TOLERANCES = {"float32": 1e-6, "float64": 1e-12}
FAST_ITERATIONS, SURE_ITERATIONS = 50, 500
#: iterations after them that have a gradient
GRADIENT_ITERATIONS = 3


class ActNorm(keras.layers.Layer):
    """``(x - t) e^{-s}`` with t and s a channel's; the identity at first.

    A start from data would whiten the posterior, which is not what a posterior's flow is for.
    """

    def __init__(self, shape: Shape3, dtype: str, name: str) -> None:
        super().__init__(name=name, dtype=dtype)
        self.pixels, self.channels = shape[0] * shape[1], shape[-1]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        shape = (self.channels,)
        self.translation = self.add_weight(shape=shape, initializer="zeros", name="translation")
        self.log_scale = self.add_weight(shape=shape, initializer="zeros", name="log_scale")
        self.built = True

    def call(self, x: Tensor) -> FlowOutput:
        """[B, H, W, C] -> the same."""
        return FlowOutput((x - self.translation) * ops.exp(-self.log_scale), self._log_det(x))

    def inverse(self, x: Tensor) -> FlowOutput:
        """The preimage, and the forward's log_det."""
        return FlowOutput(x * ops.exp(self.log_scale) + self.translation, self._log_det(x))

    def _log_det(self, x: Tensor) -> Tensor:
        return ops.zeros_like(x[:, 0, 0, 0]) - self.pixels * ops.sum(self.log_scale)


class SylvesterStep(keras.layers.Layer):
    """``x + P^T e^{-W} f(e^W P x)``, ``f(u) = s2 tanh(s1 u + t1) + t2`` (Hoogeboom et al. 2020).

    P is a product of reflections of the channels, W a convolution of norm at most 0.9, and t1, s1,
    t2, s2 come from an autoregressive network, so that the Jacobian of f is triangular with the
    diagonal ``d = s1 s2 (1 - tanh^2)`` in (-1/2, 1/2), and ``log_det = sum log1p(d)``.

    Args:
        shape: [H, W, C] of the latent.
        network: the autoregressive network.
        reflections: how many make up P.
        terms: of the exponential's series.
        dtype: float32 or float64.
        name: the layer's name.
    """

    def __init__(
        self,
        shape: Shape3,
        network: AutoregressiveNetwork,
        reflections: int,
        terms: int,
        dtype: str,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.network, self.terms = network, terms
        self.size = 1 if shape[0] == shape[1] == 1 else 3
        self.channels = shape[-1]
        # One channel has nothing to be mixed with.
        self.count = min(reflections, self.channels) if self.channels > 1 else 0

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        self.network.build()
        size, channels = self.size, self.channels
        if self.count:
            self.reflections = self.add_weight(
                shape=(self.count, channels),
                initializer=keras.initializers.RandomNormal(stddev=1.0),
                name="reflections",
            )
        self.exponent = self.add_weight(
            shape=(size, size, channels, channels),
            initializer=keras.initializers.RandomNormal(stddev=0.1 / (size * channels**0.5)),
            name="exponent",
        )
        self.built = True

    def _mix(self, x: Tensor) -> Tensor:
        """P x, P = H_0 H_1 ... of the reflections."""
        return self._reflect(x, reversed(range(self.count)))

    def _unmix(self, x: Tensor) -> Tensor:
        """P^T x."""
        return self._reflect(x, range(self.count))

    def _reflect(self, x: Tensor, order: Iterable[int]) -> Tensor:
        if not self.count:
            return x
        return reflect_all(x, ops.convert_to_tensor(self.reflections), order)

    def exponent_kernel(self) -> Tensor:
        """W's kernel as it is used, of bounded norm."""
        return bounded(ops.convert_to_tensor(self.exponent))

    def _f(self, u: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """f(u) and the diagonal of its Jacobian."""
        t1, s1, t2, s2 = self.network(u, context)
        activation = ops.tanh(s1 * u + t1)
        return s2 * activation + t2, s1 * s2 * (1.0 - activation**2)

    def call(self, x: Tensor, context: Tensor | None = None) -> FlowOutput:
        """[B, H, W, C] and a context [B, H, W, K] -> the same shape."""
        kernel = self.exponent_kernel()
        value, diagonal = self._f(exponential(self._mix(x), kernel, self.terms), context)
        z = x + self._unmix(exponential(value, -kernel, self.terms))
        return FlowOutput(z, ops.sum(ops.log1p(diagonal), axis=(1, 2, 3)))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """The preimage to 1e-6 (float64: 1e-12), and the forward's log_det."""
        kernel = self.exponent_kernel()
        v = exponential(self._mix(z), kernel, self.terms)
        value, diagonal = self._f(self._solve(v, context), context)
        x = z - self._unmix(exponential(value, -kernel, self.terms))
        return FlowOutput(x, ops.sum(ops.log1p(diagonal), axis=(1, 2, 3)))

    def _solve(self, v: Tensor, context: Tensor | None) -> Tensor:
        """The u with u + f(u) = v, by fixed-point iteration.

        The last iterations start at the root, where each adds a term to the series of its
        gradient, ``sum_i (1 - (1 + f') / D)^i D^-1`` with D the diagonal of 1 + f'. The series
        ends, as f' is triangular; with bounded kernels three terms leave an error of 1e-6 or less
        (weights of standard deviation 1), and without the bound they may leave any.
        """
        # JAX has no gradient of a loop.
        u = ops.stop_gradient(self._search(ops.stop_gradient(v), context))
        for _ in range(GRADIENT_ITERATIONS):
            value, diagonal = self._f(u, context)
            u = u - (u + value - v) / ops.stop_gradient(1.0 + diagonal)
        return u

    def _search(self, v: Tensor, context: Tensor | None) -> Tensor:
        """That u, without a gradient."""
        tolerance = TOLERANCES[self.dtype] * (1.0 + ops.max(ops.abs(v)))

        def search(start: Tensor, iterations: int, divided: bool) -> Tensor:
            def goes_on(u: Tensor, error: Tensor) -> Tensor:
                # Written so that NaN goes on, to end at the limit.
                return ops.logical_not(ops.max(ops.abs(error)) <= tolerance)

            def improve(u: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
                u = u - error
                return u, residual(u)

            def residual(u: Tensor) -> Tensor:
                value, diagonal = self._f(u, context)
                error = u + value - v
                return ops.stop_gradient(error / (1.0 + diagonal) if divided else error)

            state = (start, residual(start))
            return ops.while_loop(goes_on, improve, state, maximum_iterations=iterations)[0]

        # Dividing takes a third of the iterations, but only without it is convergence certain:
        # f's Jacobian is triangular with a diagonal below 1/2.
        u = search(v, FAST_ITERATIONS, divided=True)
        u = ops.where(ops.isfinite(u), u, v)
        return search(u, SURE_ITERATIONS, divided=False)


class Coupling(keras.layers.Layer):
    """Affine coupling: the second half of the channels is scaled and shifted by the first.

    ``log s = 2 tanh(h_even / 2)``, ``t = h_odd`` of a network h whose last layer starts at zero.
    """

    def __init__(
        self,
        shape: Shape3,
        hidden: int,
        context: int,
        *,
        norm: float | None,
        dtype: str,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        size = 1 if shape[0] == shape[1] == 1 else 3
        half = shape[-1] // 2
        self.first = Convolution(size, half + context, hidden, norm=norm, dtype=dtype, name="first")
        self.second = Convolution(1, hidden, hidden, norm=norm, dtype=dtype, name="second")
        self.last = Convolution(size, hidden, 2 * half, gain=0.0, dtype=dtype, name="last")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for layer in (self.first, self.second, self.last):
            layer.build()
        self.built = True

    def _network(self, x1: Tensor, context: Tensor | None) -> Tensor:
        hidden = x1 if context is None else ops.concatenate([x1, context], axis=-1)
        return self.last(ops.relu(self.second(ops.relu(self.first(hidden)))))

    def call(self, x: Tensor, context: Tensor | None = None) -> FlowOutput:
        """[B, H, W, C] -> the same shape."""
        x1, x2 = ops.split(x, 2, axis=-1)
        return couple(x1, x2, self._network(x1, context))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """The preimage, and the forward's log_det."""
        z1, z2 = ops.split(z, 2, axis=-1)
        log_scale, shift = scale_and_shift(self._network(z1, context))
        x2 = (z2 - shift) * ops.exp(-log_scale)
        return FlowOutput(ops.concatenate([z1, x2], axis=-1), ops.sum(log_scale, axis=(1, 2, 3)))


def scale_and_shift(h: Tensor) -> tuple[Tensor, Tensor]:
    """Log s and t from the even and the odd channels of the coupling's network."""
    return 2.0 * ops.tanh(0.5 * h[..., 0::2]), h[..., 1::2]


def couple(x1: Tensor, x2: Tensor, h: Tensor) -> FlowOutput:
    """``x2 s + t`` beside ``x1``, for the coupling network's output ``h``."""
    log_scale, shift = scale_and_shift(h)
    z = ops.concatenate([x1, x2 * ops.exp(log_scale) + shift], axis=-1)
    return FlowOutput(z, ops.sum(log_scale, axis=(1, 2, 3)))


def flip(x: Tensor) -> Tensor:
    """Both spatial axes reversed; its own inverse."""
    return ops.flip(x, axis=(1, 2))


def squeeze(x: Tensor) -> Tensor:
    """[B, H, W, C] -> [B, H/2, W/2, 4 C], channel 4 c + 2 dy + dx."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height // 2, 2, width // 2, 2, channels))
    x = ops.transpose(x, (0, 1, 3, 5, 2, 4))
    return ops.reshape(x, (-1, height // 2, width // 2, 4 * channels))


def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of `squeeze`."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height, width, channels // 4, 2, 2))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
    return ops.reshape(x, (-1, 2 * height, 2 * width, channels // 4))
