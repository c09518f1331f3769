"""The keys of a ``preset.yaml`` beside those of a configuration."""

PRESET_KEYS = (
    "name",
    "licence",
    "cite",
    "parameters",
    "figures",
    "trained",
    "notes",
    "plugins",
    "weights",
)
