"""conditions of hvae."""
