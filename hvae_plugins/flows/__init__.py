"""Posterior flows."""
