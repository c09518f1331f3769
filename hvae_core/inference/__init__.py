"""Sampling, reconstruction and interpolation, in batches, and writing their images."""

from hvae_core.inference.interpolation import interpolate
from hvae_core.inference.reconstruction import reconstruct
from hvae_core.inference.sampling import sample, sample_batches
from hvae_core.inference.saving import check_output, save_images

__all__ = [
    "check_output",
    "interpolate",
    "reconstruct",
    "sample",
    "sample_batches",
    "save_images",
]
