"""Layers and operations that the hierarchy and its plugins share."""

from hvae_core.layers.convolution import (
    Convolution,
    DepthwiseConvolution,
    ScaledUniform,
    convolution,
)
from hvae_core.layers.precision import density_dtype, dtype_policy, seeded
from hvae_core.layers.spatial import (
    Factor,
    convolve,
    factor_between,
    pool_average,
    resize_channels,
    unpatch,
    upsample_nearest,
)

__all__ = [
    "Convolution",
    "DepthwiseConvolution",
    "Factor",
    "ScaledUniform",
    "convolution",
    "convolve",
    "density_dtype",
    "dtype_policy",
    "factor_between",
    "pool_average",
    "resize_channels",
    "seeded",
    "unpatch",
    "upsample_nearest",
]
