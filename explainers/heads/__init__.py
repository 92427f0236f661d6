"""Heads: what learned explainers train, from feature maps to the scores of a mask."""
