"""training of hvae."""
