import pytest
import torch
import torch.nn.functional as F

from explainers.methods.cam.channel_maps import NORMALISATIONS


def test_normalisations_by_hand():
    maps = torch.tensor([[[[1.0, 3.0], [2.0, 5.0]]]])
    assert NORMALISATIONS["minmax"](maps).flatten().tolist() == [0.0, 0.5, 0.25, 1.0]
    torch.testing.assert_close(NORMALISATIONS["max"](maps), maps / 5)
    torch.testing.assert_close(NORMALISATIONS["sigmoid"](maps), 1 / (1 + (-maps).exp()))


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e30, 1e-38])
def test_constant_map_becomes_zeros_despite_rounding(value):
    maps = torch.full((1, 1, 7, 5), value)
    enlarged = F.interpolate(maps, (224, 160), mode="bilinear").requires_grad_()
    mask = NORMALISATIONS["minmax"](enlarged)
    assert not mask.any()
    (gradient,) = torch.autograd.grad(mask.sum(), enlarged)
    assert gradient.isfinite().all()
    (gradient,) = torch.autograd.grad(NORMALISATIONS["max"](enlarged).sum(), enlarged)
    assert gradient.isfinite().all()
