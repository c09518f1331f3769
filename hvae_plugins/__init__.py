"""hvae_plugins of hvae."""
