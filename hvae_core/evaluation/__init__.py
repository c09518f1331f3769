"""evaluation of hvae."""
