"""Operations on images against sums over their windows, and in which memory they are made."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import compiled, value_and_grad
from hvae_core.layers import convolution, convolve, pool_average, upsample_nearest
from hvae_core.layers.convolution import DepthwiseConvolution

pytestmark = pytest.mark.every_backend


def windows(x, kernel, down, across, padding):
    """The sum over each window, as a convolution is written in a paper."""
    high, wide, _, outputs = kernel.shape
    if padding == "same":
        rows, columns = -(-x.shape[1] // down), -(-x.shape[2] // across)
        over = [(rows - 1) * down + high - x.shape[1], (columns - 1) * across + wide - x.shape[2]]
        around = [(max(0, n) // 2, max(0, n) - max(0, n) // 2) for n in over]
        x = np.pad(x, [(0, 0), *around, (0, 0)])
    rows = (x.shape[1] - high) // down + 1
    columns = (x.shape[2] - wide) // across + 1
    out = np.zeros((len(x), rows, columns, outputs))
    for i, j in itertools.product(range(high), range(wide)):
        part = x[:, i : i + down * rows : down, j : j + across * columns : across]
        out += part[:, :rows, :columns] @ kernel[i, j]
    return out


@pytest.mark.parametrize(
    ("sides", "strides", "padding"),
    [
        ((1, 1), 1, "same"), ((3, 3), 1, "same"), ((3, 5), 1, "same"), ((2, 2), 1, "same"),
        ((4, 3), 1, "same"), ((3, 3), 1, "valid"), ((2, 2), 2, "valid"), ((1, 1), 2, "valid"),
        ((3, 2), (3, 2), "valid"), ((3, 3), (2, 1), "same"),
    ],
)  # fmt: skip
def test_a_convolution_sums_its_windows(sides, strides, padding):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 6, 7, 3))
    kernel, bias = rng.normal(size=(*sides, 3, 4)), rng.normal(size=4)
    down, across = (strides, strides) if isinstance(strides, int) else strides
    wanted = windows(x, kernel, down, across, padding) + bias
    got = compiled(lambda *args: convolve(*args, strides, padding), [])(
        *(ops.convert_to_tensor(array.astype("f")) for array in (x, kernel, bias))
    )
    np.testing.assert_allclose(ops.convert_to_numpy(got), wanted, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_depthwise_convolution_takes_each_channel_by_itself(side):
    rng = np.random.default_rng(1)
    x, kernel = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(side, side, 3, 1))
    wanted = np.concatenate(
        [windows(x[..., [c]], kernel[..., [c], :], 1, 1, "same") for c in range(3)], axis=-1
    )
    got = compiled(lambda x, kernel: convolve(x, kernel, depthwise=True), [])(
        *(ops.convert_to_tensor(array.astype("f")) for array in (x, kernel))
    )
    np.testing.assert_allclose(ops.convert_to_numpy(got), wanted, atol=1e-5)


@pytest.mark.skipif(keras.config.backend() == "openvino", reason="it has no gradients")
@pytest.mark.parametrize("kind", ["pointwise", "spatial", "depthwise"])
def test_gradients_are_those_of_the_sum(kind):
    """A convolution is linear in each of its arguments: a gradient by one is exact differences."""
    rng = np.random.default_rng(2)
    if kind == "depthwise":
        layer = DepthwiseConvolution(3, name="layer")
    else:
        layer = convolution(3, 1 if kind == "pointwise" else 3, name="layer")
    layer.build((None, 4, 4, 3))
    x = keras.Variable(rng.normal(size=(2, 4, 4, 3)).astype("f"))
    variables = [x, layer.kernel, layer.bias]
    weight = ops.convert_to_tensor(rng.normal(size=(2, 4, 4, 3)).astype("f"))

    def loss():
        return ops.sum(layer(ops.convert_to_tensor(x)) * weight), ()

    def gradients():
        value, _, found = value_and_grad(loss, variables)
        return [value, *found]

    value, *found = (ops.convert_to_numpy(array) for array in gradients())
    for variable, gradient in zip(variables, found, strict=True):
        before = ops.convert_to_numpy(variable.value)
        step = rng.normal(size=before.shape).astype("f")
        variable.assign(before + step)
        difference = float(ops.convert_to_numpy(loss()[0])) - float(value)
        variable.assign(before)
        assert difference == pytest.approx(float((gradient * step).sum()), abs=2e-3)


@pytest.mark.parametrize("factor", [1, 2, (3, 1), (2, 3)])
def test_upsampling_repeats_and_pooling_takes_the_mean(factor):
    down, across = (factor, factor) if isinstance(factor, int) else factor
    small = np.random.default_rng(3).normal(size=(2, 2, 3, 4)).astype("f")
    large = small.repeat(down, axis=1).repeat(across, axis=2)
    up = compiled(lambda x: upsample_nearest(x, factor), [])(ops.convert_to_tensor(small))
    np.testing.assert_array_equal(ops.convert_to_numpy(up), large)
    large = large + np.random.default_rng(4).normal(size=large.shape).astype("f")
    wanted = large.reshape(2, 2, down, 3, across, 4).mean(axis=(2, 4))
    pooled = compiled(lambda x: pool_average(x, factor), [])(ops.convert_to_tensor(large))
    np.testing.assert_allclose(ops.convert_to_numpy(pooled), wanted, atol=1e-6)


@pytest.mark.skipif(keras.config.backend() != "torch", reason="of PyTorch's memory")
def test_pytorch_s_images_stay_as_they_lie_in_memory():
    import torch

    x, kernel = torch.randn(2, 4, 4, 8), torch.randn(3, 3, 8, 8)
    for out in (
        convolve(x, kernel, torch.randn(8)),
        convolve(x, kernel[:1, :1], torch.randn(8)),
        convolve(x, kernel[..., :1], depthwise=True),
        upsample_nearest(x, 2),
        pool_average(x, 2),
    ):
        assert out.is_contiguous()


@pytest.mark.skipif(keras.config.backend() != "torch", reason="elsewhere float64 is an option")
@pytest.mark.parametrize("side", [1, 3])
def test_float64_is_kept(side):
    rng = np.random.default_rng(5)
    x, kernel = rng.normal(size=(1, 4, 4, 3)), rng.normal(size=(side, side, 3, 2))
    got = convolve(ops.convert_to_tensor(x), ops.convert_to_tensor(kernel))
    np.testing.assert_allclose(
        ops.convert_to_numpy(got), windows(x, kernel, 1, 1, "same"), atol=1e-12
    )
