"""The network alone: encoder, latent layers, decoder, readout. It knows no training option."""
