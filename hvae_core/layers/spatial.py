"""Operations on images [B, H, W, C], the same on every backend.

Keras's own bring an image into channels-first memory and back on PyTorch, twice for a convolution,
which takes as long as a third of the convolutions. What is here asks PyTorch for its channels-last
kernels instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from hvae_core.interfaces import Tensor

#: by how much a size is larger than another: along both axes, or along height and along width
Factor = int | tuple[int, int]


def convolve(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None = None,
    strides: int | Sequence[int] = 1,
    padding: str = "same",
    *,
    depthwise: bool = False,
) -> Tensor:
    """A convolution of images; with a kernel of 1x1 a product of two matrices.

    A product is faster than a convolution on a CPU, and XLA's gradient of one with more than two
    axes is slower still, so the axes are joined. On OpenVINO a convolution would be some 3 %
    faster, but wrong from the second call on: what is added to a sum of constants, as a latent's
    projection is to the first layer's stream, is written into it (2026.4.1).

    Args:
        x: images [B, H, W, in].
        kernel: [h, w, in, out]; if ``depthwise`` [h, w, in, 1]: one for each channel.
        bias: [out], added to each position.
        strides: along both axes, or along height and along width.
        padding: "same": with zeros, so that H' = H / stride; "valid": none.
        depthwise: whether each channel is convolved by itself.

    Returns:
        [B, H', W', out].
    """
    down, across = (strides, strides) if isinstance(strides, int) else strides
    kernel = ops.convert_to_tensor(kernel)
    if kernel.shape[0] == kernel.shape[1] == down == across == 1 and not depthwise:
        return _product(x, kernel, bias)
    sides = kernel.shape[:2]
    is_centred = down == across == 1 and all(side % 2 for side in sides)
    if keras.config.backend() == "torch" and (padding == "valid" or is_centred):
        from torch.nn import functional

        around = [0, 0] if padding == "valid" else [side // 2 for side in sides]
        axes = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        offset = None if bias is None else ops.convert_to_tensor(bias)
        groups = x.shape[-1] if depthwise else 1
        return _channels_last(
            functional.conv2d(
                _channels_first(x), kernel.permute(axes), offset, (down, across), around, 1, groups
            )
        )
    convolved = (ops.depthwise_conv if depthwise else ops.conv)(
        x, kernel, strides=(down, across), padding=padding, data_format="channels_last"
    )
    return _shifted(convolved, bias)


def _product(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    _, height, width, channels = x.shape
    outputs = kernel.shape[-1]
    rows = ops.reshape(x, (-1, channels))
    matrix = ops.reshape(kernel, (channels, outputs))
    if bias is not None and keras.config.backend() == "torch":
        import torch

        out = torch.addmm(ops.convert_to_tensor(bias), rows, matrix)
    else:
        out = _shifted(rows @ matrix, bias)  # Keras's matmul loses float64 on PyTorch
    return ops.reshape(out, (-1, height, width, outputs))


def _shifted(x: Tensor, bias: Tensor | None) -> Tensor:
    """``x`` [..., C] with a bias [C]; TensorFlow's own sum is one with what comes before it."""
    if bias is None:
        return x
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.nn.bias_add(x, ops.convert_to_tensor(bias))
    return x + bias


def _channels_first(x: Any) -> Any:
    """A view [B, C, H, W] of PyTorch's; in memory the channels stay last."""
    return ops.convert_to_tensor(x).permute(0, 3, 1, 2)


def _channels_last(x: Any) -> Any:
    """The view back."""
    return x.permute(0, 2, 3, 1)


def factor_between(fine: Sequence[int], coarse: Sequence[int]) -> Factor:
    """By how much a size [height, width] is larger than one that divides it."""
    down, across = fine[0] // coarse[0], fine[1] // coarse[1]
    return down if down == across else (down, across)


def upsample_nearest(x: Tensor, factor: Factor) -> Tensor:
    """[B, H, W, C] -> [B, factor H, factor W, C], each value repeated."""
    if factor == 1:
        return x
    down, across = (factor, factor) if isinstance(factor, int) else factor
    _, height, width, channels = x.shape
    if keras.config.backend() == "torch":
        from torch.nn import functional

        size = (height * down, width * across)
        return _channels_last(functional.interpolate(_channels_first(x), size, mode="nearest"))
    x = ops.reshape(x, (-1, height, 1, width, 1, channels))
    x = ops.broadcast_to(x, (ops.shape(x)[0], height, down, width, across, channels))
    return ops.reshape(x, (-1, height * down, width * across, channels))


def pool_average(x: Tensor, factor: Factor) -> Tensor:
    """[B, H, W, C] -> [B, H / factor, W / factor, C], the mean of each square or rectangle."""
    if factor == 1:
        return x
    if keras.config.backend() == "torch":
        from torch.nn import functional

        return _channels_last(functional.avg_pool2d(_channels_first(x), factor))
    return ops.average_pool(x, factor, strides=factor, padding="valid", data_format="channels_last")


def resize_channels(x: Tensor, width: int) -> Tensor:
    """The first ``width`` channels, zeros appended where there are fewer (the original VDVAE)."""
    missing = width - x.shape[-1]
    if missing <= 0:
        return x[..., :width]
    return ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, missing)])


def unpatch(x: Tensor, patch: int) -> Tensor:
    """[B, H, W, patch^2 C] -> [B, patch H, patch W, C]: each position becomes a square."""
    if patch == 1:
        return x
    _, height, width, channels = x.shape
    depth = channels // patch**2
    x = ops.reshape(x, (-1, height, width, patch, patch, depth))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height * patch, width * patch, depth))
