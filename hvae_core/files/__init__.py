"""Files: atomic replacement, digests, versions, places, YAML and JSON with limits, threads."""
