"""Checkpoints of the original VDVAE (openai/vdvae), as a plugin."""
