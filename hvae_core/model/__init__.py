"""The hierarchical VAE: encoder, latent layers, decoder, readout."""

from hvae_core.model.hierarchy import HierarchicalVAE
from hvae_core.prob.noise import Noise

__all__ = ["HierarchicalVAE", "Noise"]
