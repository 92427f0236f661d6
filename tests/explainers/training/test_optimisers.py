"""The schedules follow the published formulas, written out."""

from math import cos, pi

import pytest
import torch
from torch import nn

from explainers.errors import InputError
from explainers.training.optimisers import adamw, one_cycle, sgd

STEPS = 10


def between(start, end, share):
    """The value at a share of the way along half a cosine."""
    return end + (start - end) / 2 * (1 + cos(pi * share))


def published(step, peak):
    """Rate and momentum at a step of ten: up over three tenths of them, then down."""
    top, last = 0.3 * STEPS - 1, STEPS - 1
    if step <= top:
        share = step / top
        return between(peak / 25, peak, share), between(0.95, 0.85, share)
    share = (step - top) / (last - top)
    return between(peak, peak / 25 / 1e4, share), between(0.85, 0.95, share)


def settings(optimizer):
    """Rate and momentum (Adam's first beta) of each group, step by step."""
    schedule = one_cycle(optimizer, STEPS)
    history = []
    for step in range(STEPS):
        history.append(
            [
                (group["lr"], group["betas"][0] if "betas" in group else group["momentum"])
                for group in optimizer.param_groups
            ]
        )
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = torch.randn_like(weight)
        optimizer.step()
        if step < STEPS - 1:
            schedule.step()
    return history


def test_rate_and_first_beta_of_ten_steps_of_adamw_are_the_published_ones():
    layer = nn.Linear(3, 2)
    for step, (actual,) in enumerate(settings(adamw(layer.named_parameters(), 1e-4, 0.1))):
        assert actual == pytest.approx(published(step, 1e-4), rel=1e-12)


def test_rates_and_momentum_of_ten_steps_of_sgd_are_the_published_ones_with_faster_biases():
    layer = nn.Linear(3, 2)
    optimizer = sgd(layer.named_parameters(), 1e-3, 5e-4, bias_lr_factor=2.0)
    for step, (weights, biases) in enumerate(settings(optimizer)):
        assert weights == pytest.approx(published(step, 1e-3), rel=1e-12)
        assert biases == pytest.approx(published(step, 2e-3), rel=1e-12)


@pytest.mark.parametrize("decay_biases", [True, False])
def test_a_step_of_sgd_is_nesterovs_with_or_without_decay_of_biases(decay_biases):
    layer = nn.Linear(3, 2).double()
    optimizer = sgd(layer.named_parameters(), 0.1, 0.5, 2.0, decay_biases)
    for rate, decay, weight in (
        (0.1, 0.5, layer.weight),
        (0.2, 0.5 * decay_biases, layer.bias),
    ):
        start, gradient = weight.detach().clone(), torch.randn_like(weight)
        weight.grad = gradient.clone()
        # Two steps at one gradient; momentum .9 looks one step ahead.
        moment, place = torch.zeros_like(start), start
        for _ in range(2):
            pull = gradient + decay * place
            moment = pull if not moment.any() else 0.9 * moment + pull
            place = place - rate * (pull + 0.9 * moment)
        for other in (layer.weight, layer.bias):
            if other is not weight:
                other.grad = None
        optimizer.step()
        optimizer.step()
        torch.testing.assert_close(weight.detach(), place, rtol=0, atol=1e-12)


@pytest.mark.parametrize("earlier", [5, 20])
def test_a_schedule_of_another_length_goes_on_at_the_rates_of_its_own(earlier, caplog):
    def begun(steps):
        layer = nn.Linear(3, 2)
        optimizer = adamw(layer.named_parameters(), 1e-4, 0.1)
        return optimizer, one_cycle(optimizer, steps)

    def step(optimizer, schedule):
        optimizer.step()
        schedule.step()

    optimizer, schedule = begun(earlier)
    for _ in range(4):
        step(optimizer, schedule)
    other, resumed = begun(STEPS)
    other.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for done in range(4, STEPS):
        (group,) = other.param_groups
        actual = group["lr"], group["betas"][0]
        assert actual == pytest.approx(published(done, 1e-4), rel=1e-12)
        if done < STEPS - 1:
            step(other, resumed)
    assert f"schedule has {earlier} steps, and this fit {STEPS}" in caplog.text


def test_a_fit_without_an_end_is_refused():
    optimizer = adamw(nn.Linear(3, 2).named_parameters(), 1e-4, 0.1)
    with pytest.raises(InputError, match=r"set trainer\.max_epochs or max_steps"):
        one_cycle(optimizer, float("inf"))
