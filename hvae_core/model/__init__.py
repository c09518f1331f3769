"""The network: encoder, latent layers, decoder, readout. It knows no verb and no training option."""
