"""Measurements: what a model that completes images is shown of them."""
