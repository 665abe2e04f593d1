"""Fetching and decoding the images that imaging events point to; every failure is an `ImageError` with a reason."""
