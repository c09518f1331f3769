"""Data sets, each a plugin."""
