"""Vision transformers as sequences of tokens."""
