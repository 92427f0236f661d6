"""Samples: image files, decoding, transforms, order, seeding and unreadable samples."""
