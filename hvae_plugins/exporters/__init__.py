"""Export formats, as plugins."""
