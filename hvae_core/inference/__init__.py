"""Sampling, reconstruction and interpolation, written once for every engine."""

from hvae_core.inference.interpolation import interpolate
from hvae_core.inference.reconstruction import reconstruct
from hvae_core.inference.sampling import sample, sample_batches

__all__ = ["interpolate", "reconstruct", "sample", "sample_batches"]
