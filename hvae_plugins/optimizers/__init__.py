"""Optimizers: those of Keras, with their options."""
