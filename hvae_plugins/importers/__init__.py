"""Formats of other implementations' checkpoints, as plugins."""
