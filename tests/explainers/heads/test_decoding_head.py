import pytest
import torch
import torch.nn.functional as F

from explainers import FrozenClassifier, PTAMEPlus
from explainers.errors import InputError
from explainers.heads.conditioned_head import GAIN, OFFSET
from explainers.heads.decoding_head import DecodingHead

FINEST = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)).double()
FINER = torch.randn(2, 4, 8, 12, generator=torch.Generator().manual_seed(1)).double()
DEEPEST = torch.rand(2, 5, 4, 6, generator=torch.Generator().manual_seed(2)).double()
ROWS = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(3)).double()
FEATURES = [FINEST, FINER, DEEPEST]


@pytest.fixture
def head():
    """A head that has learned something, whatever it is."""
    head = DecodingHead([3, 4, 5], width=8).double().eval()
    for weight in head.last.parameters():
        torch.nn.init.normal_(weight)
    return head


def test_an_untrained_head_is_the_standardised_activation_map():
    scores = DecodingHead([3, 4, 5], width=8).double()(FEATURES, ROWS)
    assert scores.shape == (2, 3, 8, 12)
    for image in range(2):
        for position in range(3):
            cam = sum(ROWS[image, position, k] * DEEPEST[image, k] for k in range(5))
            cam = (cam - cam.mean()) / (cam.std(correction=0) + 0.01)
            expected = GAIN * F.interpolate(cam[None, None], (8, 12), mode="bilinear") + OFFSET
            torch.testing.assert_close(scores[image, position], expected[0, 0])


@pytest.mark.parametrize("changed", range(3))
def test_every_map_is_read(head, changed):
    features = list(FEATURES)
    features[changed] = features[changed].flip(3)
    assert (head(features, ROWS) - head(FEATURES, ROWS)).abs().max() > 1e-3


def test_several_classes_and_images_at_once_are_scored_as_one_by_one(head):
    together = head(FEATURES, ROWS)
    for image in range(2):
        one = [maps[image : image + 1] for maps in FEATURES]
        for position in range(3):
            alone = head(one, ROWS[image : image + 1, position : position + 1])
            torch.testing.assert_close(together[image, position], alone[0, 0])


def test_one_stage_is_drawn_at_its_own_size():
    scores = DecodingHead([5], width=8).double()([DEEPEST], ROWS[:, :1])
    assert scores.shape == (2, 1, 4, 6)


def test_a_width_that_is_no_multiple_of_eight_is_refused():
    with pytest.raises(InputError, match="decoder_width must be a multiple of 8, got 12"):
        PTAMEPlus({"model": "test_resnet", "pretrained": False}, decoder_width=12)


def test_twenty_steps_on_one_batch_lower_the_objective(images, labels, twenty_steps):
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=4)
    explainer = PTAMEPlus(classifier, stages=[1, -1], decoder_width=8, lr=1e-2)
    optimizer = torch.optim.AdamW(explainer.network.head.parameters(), lr=1e-2)
    history = twenty_steps(explainer, images, labels, optimizer)
    assert min(history[-5:]) < history[0] - 0.02
