"""Further terms of the training loss."""
