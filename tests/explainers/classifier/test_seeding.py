"""Seeding: the draws of a seed, and every generator back where it was."""

import torch

from explainers.classifier.seeding import seeded


def test_draws_depend_on_the_seed_and_what_follows_does_not():
    state = torch.get_rng_state()
    expected = torch.rand(3)
    torch.set_rng_state(state)
    drawn = []
    for seed in (1, 1, 2):
        with seeded(seed):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    with seeded(None):
        assert torch.equal(torch.rand(3), expected)


def test_generators_of_devices_in_use_are_put_back(monkeypatch):
    states = {0: "a", 1: "b"}

    def put_back(state, device):
        states[device] = state

    def draw_by(seed):
        states.update(dict.fromkeys(states, seed))

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", states.get)
    monkeypatch.setattr(torch.cuda, "set_rng_state", put_back)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", draw_by)
    with seeded(3):
        assert states == {0: 3, 1: 3}
    assert states == {0: "a", 1: "b"}
