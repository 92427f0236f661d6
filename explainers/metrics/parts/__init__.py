"""Parts that metrics share: accumulators, perturbations, boxes, similarities of maps."""
