import torch

from explainers.trivial import ROWS, centre_gaussian, fake_cam


def test_every_row_is_a_map_of_the_images_size():
    images = torch.rand(2, 3, 6, 10)
    for row in ROWS.values():
        maps = row(images)
        assert maps.shape == (2, 1, 6, 10)
        assert 0 <= maps.min() <= maps.max() <= 1


def test_fake_cam_leaves_out_exactly_one_pixel():
    maps = fake_cam(torch.rand(1, 3, 6, 10))
    assert maps.sum() == 59
    assert maps[0, 0, 0, 0] == 0


def test_gaussian_is_highest_in_the_middle_and_symmetric():
    maps = centre_gaussian(torch.rand(1, 3, 7, 11))
    assert maps.argmax() == 7 * 11 // 2
    torch.testing.assert_close(maps, maps.flip(-1).flip(-2))
