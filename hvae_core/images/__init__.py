"""A user's images in, pictures out."""
