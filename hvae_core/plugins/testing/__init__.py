"""testing of hvae."""
