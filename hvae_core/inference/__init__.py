"""Sampling, encoding, decoding, reconstruction, interpolation: written once for every engine."""

from hvae_core.inference.completion import (
    PosteriorDraws,
    encoder_inputs,
    posterior_sample,
)
from hvae_core.inference.counterfactual import counterfactual
from hvae_core.inference.decoding import decode
from hvae_core.inference.denoising import Denoised, denoise
from hvae_core.inference.encoding import encode, features
from hvae_core.inference.information import information_gain
from hvae_core.inference.interpolation import interpolate
from hvae_core.inference.latents import Latents
from hvae_core.inference.reconstruction import reconstruct
from hvae_core.inference.sampling import sample, sample_batches

__all__ = [
    "Denoised",
    "Latents",
    "PosteriorDraws",
    "counterfactual",
    "decode",
    "denoise",
    "encode",
    "encoder_inputs",
    "features",
    "information_gain",
    "interpolate",
    "posterior_sample",
    "reconstruct",
    "sample",
    "sample_batches",
]
