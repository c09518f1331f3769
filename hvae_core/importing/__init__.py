"""Checkpoints of other implementations; the formats are plugins."""
