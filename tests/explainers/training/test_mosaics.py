import math

import pytest
import torch
import torch.nn.functional as F

from explainers.training.mosaics import KnownMosaics, known_mosaics, mosaics


def test_cells_are_images_of_the_batch_and_classes_are_theirs():
    images = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 3, 9, 12)  # constant
    classes = torch.tensor([[10 * index + rank for rank in range(3)] for index in range(5)])
    composed, of_cells = mosaics(images, classes, number=20, seed=3)
    assert composed.shape == (20, 3, 9, 12)
    for mosaic, labels in zip(composed, of_cells, strict=True):
        corners = mosaic[0, [0, 0, -1, -1], [0, -1, 0, -1]]
        cells = (corners * 4).round().long().tolist()
        assert labels.tolist() == [10 * cell for cell in cells[:3]]  # the first class of three


def test_more_classes_than_cells_go_on_with_the_second_ones():
    classes = torch.arange(6)[None]
    _, of_cells = mosaics(torch.rand(1, 3, 8, 8), classes, number=1, seed=0)
    assert of_cells.tolist() == [[0, 0, 0, 0, 1, 1]]


def test_a_cell_is_the_image_at_half_its_size():
    images = (
        F.avg_pool2d(torch.rand(1, 3, 64, 64), 16).repeat_interleave(16, 2).repeat_interleave(16, 3)
    )
    (mosaic,), _ = mosaics(images, torch.zeros(1, 1, dtype=torch.int64), 1, seed=0)
    for top in (0, 32):
        for left in (0, 32):
            inside = mosaic[:, top + 2 : top + 32 : 8, left + 2 : left + 32 : 8]
            torch.testing.assert_close(inside, images[0, :, 8::16, 8::16])


def test_the_seed_decides():
    images, classes = torch.rand(6, 3, 8, 8), torch.arange(6)[:, None]
    first, again, other = (mosaics(images, classes, 4, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_two_processes_draw_what_one_draws_from_both_batches(in_two_processes):
    images, classes = torch.rand(6, 3, 8, 10), torch.arange(12).view(6, 2)
    expected = mosaics(images, classes, 4, seed=7)

    def work(rank):
        own = slice(3 * rank, 3 * rank + 3)
        return dict(zip("ab", mosaics(images[own], classes[own], 2, seed=7), strict=True))

    answers = in_two_processes(work)
    for key, value in zip("ab", expected, strict=True):
        assert torch.equal(torch.cat([one[key] for one in answers]), value)


def test_regions_are_the_cells_of_a_class():
    images = torch.linspace(0, 1, 3)[:, None, None, None].expand(3, 3, 6, 7)  # constant
    labels = torch.tensor([4, 9, 4])  # two images of one class
    sure = torch.tensor([0.9, 0.5, 0.49])
    known = known_mosaics(images, labels, sure, number=30, seed=1)
    composed, classes = mosaics(images, labels[:, None].expand(-1, 4), number=30, seed=1)
    assert torch.equal(known.images, composed)
    assert torch.equal(known.classes, classes)
    rows, columns = (slice(0, 3), slice(3, 6)), (slice(0, 4), slice(4, 7))
    for index in range(30):
        corners = known.images[index, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
        drawn = (corners * 2).round().long()
        assert torch.equal(known.sure[index], sure[drawn] >= 0.5)
        for cell in range(4):
            expected = torch.zeros(6, 7, dtype=torch.bool)
            for other in range(4):
                if classes[index, other] == classes[index, cell]:
                    expected[rows[other // 2], columns[other % 2]] = True
            assert torch.equal(known.regions[index, cell], expected)


def test_region_loss_is_minus_the_logarithm_of_the_share_of_energy():
    regions = torch.zeros(1, 4, 2, 2, dtype=torch.bool)
    regions[0, :2, 0] = True
    sure = torch.tensor([[True, True, False, False]])
    known = KnownMosaics(torch.rand(1, 3, 2, 2), torch.arange(4)[None], sure, regions)
    maps = torch.tensor([[[3.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [2.0, 2.0]]])
    maps = torch.cat([maps, torch.rand(2, 2, 2)])[None].requires_grad_()
    loss = known.region_loss(maps)
    assert float(loss.detach()) == pytest.approx((-math.log(0.77) - math.log(0.02)) / 2)
    loss.backward()
    assert maps.grad[0, 2:].abs().max() == 0  # of classes that nobody is sure of
    nothing = known._replace(sure=~sure & sure)
    assert float(nothing.region_loss(maps.detach())) == 0
