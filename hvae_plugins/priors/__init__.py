"""Top priors."""
