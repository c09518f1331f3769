"""Attention across the layers of the hierarchy."""
