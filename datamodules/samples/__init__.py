"""Samples: decoding, transforms, order, and those that are unreadable."""
