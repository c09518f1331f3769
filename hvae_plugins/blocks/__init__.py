"""blocks of hvae."""
