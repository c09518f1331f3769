"""The keys of a ``preset.yaml`` beside those of a configuration."""

PRESET_KEYS = ("name", "licence", "parameters", "figures", "trained", "notes", "plugins", "weights")
