"""Sampling, reconstruction and interpolation, in batches, and writing their images."""

from hvae_core.images.saving import check_output, save_images
from hvae_core.inference.interpolation import interpolate
from hvae_core.inference.reconstruction import reconstruct
from hvae_core.inference.sampling import sample, sample_batches

__all__ = [
    "check_output",
    "interpolate",
    "reconstruct",
    "sample",
    "sample_batches",
    "save_images",
]
