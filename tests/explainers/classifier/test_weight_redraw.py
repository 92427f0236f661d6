"""Redrawn weights: none left, the same for a seed, and logits that still follow the image."""

import pytest
import torch

from explainers import FrozenClassifier


def redrawn(source, seed):
    return FrozenClassifier(**source, redraw_seed=seed)


def test_all_but_scales_and_offsets_change_and_the_seed_says_how(source):
    state = torch.get_rng_state()
    first, again, other = (redrawn(source, seed) for seed in (1, 1, 2))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert torch.equal(torch.get_rng_state(), state)
    assert first.source["redraw_seed"] == 1
    weights = dict(other.model.named_parameters())
    for name, weight in first.model.named_parameters():
        assert weight.std() < 1e-9 or not torch.equal(weight, weights[name]), name


def test_threads_change_nothing():
    before = torch.get_num_threads()
    try:
        prints = set()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            prints.add(
                redrawn({"model": "test_efficientnet", "pretrained": False}, 0).fingerprint()
            )
    finally:
        torch.set_num_threads(before)
    assert len(prints) == 1


def test_logits_follow_the_image(source, images):
    logits = redrawn(source, 0)(torch.cat([images, images.flip(1) * 0.5]))
    assert (logits.std(dim=0) > 0.01).all()


def test_a_module_of_your_own_is_left_as_it_is(source):
    model = FrozenClassifier(**source).model
    before = [weight.clone() for weight in model.parameters()]
    FrozenClassifier(model, mean=[0.5] * 3, std=[0.5] * 3, size=[64, 64], redraw_seed=0)
    assert all(map(torch.equal, before, model.parameters()))


def test_a_seed_that_is_none_is_refused(source):
    with pytest.raises(ValueError, match="redraw_seed must be"):
        redrawn(source, -1)
