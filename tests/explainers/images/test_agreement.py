import pytest
import torch

from explainers import PTAME
from explainers.images.agreement import View, disagreement, views

RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


def brightness(images, target):
    """A map that moves with its image."""
    return images.mean(dim=1, keepdim=True)


def position(images, target):
    """A map that ignores its image: a ramp from left to right."""
    width = images.shape[-1]
    return (torch.arange(width) / (width - 1)).expand(len(images), 1, images.shape[-2], width)


@pytest.mark.parametrize("view", views(56, 84))
def test_what_a_view_shows_comes_back_in_place(view):
    images = torch.rand(2, 3, 56, 84)
    back = view.back(view.of(images))
    shown = ~back.isnan()
    assert torch.equal(back[shown], images[shown])
    hidden = 2 * (view.down != 0) * 84 + 2 * (view.right != 0) * 56
    assert (~shown[0, 0]).sum() == hidden


def test_moving_is_in_the_named_direction_and_repeats_the_border():
    images = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).expand(1, 3, 2, 3)
    assert View(right=1).of(images)[0, 0].tolist() == [[1, 1, 2], [4, 4, 5]]
    assert View(down=-1).of(images)[0, 0].tolist() == [[4, 5, 6], [4, 5, 6]]
    assert View(mirrored=True).of(images)[0, 0].tolist() == [[3, 2, 1], [6, 5, 4]]


def test_a_map_that_moves_with_its_image_is_certain():
    images = torch.rand(2, 3, 56, 56)
    result = disagreement(brightness, images, torch.tensor([0, 1]))
    torch.testing.assert_close(result, torch.zeros(2, 1, 56, 56), rtol=0, atol=1e-6)


def test_a_map_that_ignores_its_image_is_uncertain_by_the_value_computed_by_hand():
    result = disagreement(position, torch.rand(1, 3, 28, 28), torch.tensor([0]))
    # At 28 pixels views move by one. At column 10 the ramp is 10 / 27; moved views give 10, 10, 11
    # and 9, the mirrored one 17.
    values = torch.tensor([10, 17, 10, 10, 11, 9]) / 27
    expected = values.std(correction=0)
    torch.testing.assert_close(result[0, 0, 14, 10], expected)
    # At the left border the view moved to the left shows nothing: 0, 27, 0, 0 and 1 are left.
    values = torch.tensor([0, 27, 0, 0, 1]) / 27
    torch.testing.assert_close(result[0, 0, 14, 0], values.std(correction=0))


def test_explanations_carry_it_when_asked_for(images, labels):
    explainer = PTAME(RESNET, RESNET)
    explanation = explainer.explain(images, labels, uncertainty=True)
    expected = disagreement(lambda i, t: explainer.to_maps(explainer(i, t)), images, labels)
    torch.testing.assert_close(torch.stack(list(explanation.uncertainty_list)), expected)
    torch.testing.assert_close(explanation.uncertainties, expected.mean(dim=(1, 2, 3)))
    torch.testing.assert_close(explanation[1].uncertainties, explanation.uncertainties[1:2])
    with pytest.raises(ValueError, match="uncertainty=True"):
        _ = explainer.explain(images, labels).uncertainties
