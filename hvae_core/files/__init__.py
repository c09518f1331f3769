"""Files: atomic replacement, digests, places, YAML with limits, threads."""
