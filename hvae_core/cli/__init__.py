"""cli of hvae."""
