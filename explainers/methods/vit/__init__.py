"""Parts of methods for vision transformers: tokens, the last block, attention, graph cuts."""
