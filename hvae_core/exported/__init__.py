"""Running what was exported, without Keras."""
