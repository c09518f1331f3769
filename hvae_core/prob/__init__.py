"""Probability as pure functions of tensors, on any Keras backend. Densities are in nats."""
