"""Learning rates after the warm-up."""
