"""Backends: choosing one, devices, processes, compiled programs."""
