"""Shard files: their index, writing, fetching, packing and audit."""
