"""Shard files: their index, `_info.json`, tar members, writing, fetching, packing and audit."""
