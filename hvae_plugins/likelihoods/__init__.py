"""likelihoods of hvae."""
