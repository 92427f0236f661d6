import torch
from PIL import Image

from explainers import PTAME
from explainers.drawing import captioned, colourise, overlay, panel, save_picture
from explainers.pictures import explained_panel


def test_colours_grow_brighter_with_the_map():
    ramp = torch.linspace(0, 1, 256).view(1, 1, 1, 256)
    luminance = colourise(ramp).mean(dim=1).flatten()
    assert (luminance.diff() > -0.01).all()
    assert luminance[0] < 0.05
    assert luminance[-1] > 0.8


def test_overlay_mixes_the_colours_with_the_grey_image():
    images = torch.rand(2, 3, 5, 7)
    maps = torch.rand(2, 1, 5, 7)
    grey = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(overlay(images, maps, opacity=0.0), grey)
    torch.testing.assert_close(overlay(images, maps, opacity=1.0), colourise(maps))
    halfway = 0.5 * grey + 0.5 * colourise(maps)
    torch.testing.assert_close(overlay(images, maps, opacity=0.5), halfway)


def test_caption_is_above_the_picture_and_fits_its_width():
    picture = torch.zeros(3, 40, 60)
    for text in ("", "cat", "a very long name of a class that does not fit at all, at any size"):
        drawn = captioned(picture, text, height=20)
        assert drawn.shape == (3, 60, 60)
        assert torch.equal(drawn[:, 20:], picture)
        assert torch.equal(drawn[:, 0], torch.ones(3, 60))
        assert torch.equal(drawn[:, :20, -3:], torch.ones(3, 20, 3))
    assert captioned(picture, "cat")[:, :20].min() < 0.5


def test_panel_lays_pictures_out_in_rows():
    rows = [[torch.full((3, 2, 3), (3 * y + x) / 10) for x in range(3)] for y in range(2)]
    laid = panel(rows, gap=1)
    assert laid.shape == (3, 2 * 4, 3 * 5)
    torch.testing.assert_close(laid[0, 5, 11], torch.tensor(0.5))
    assert laid[0, 0].min() == 1


def test_saved_picture_is_read_back(tmp_path):
    picture = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1).expand(3, 2, 4)
    path = save_picture(picture, tmp_path / "new" / "picture.png")
    with Image.open(path) as image:
        assert image.size == (4, 2)
        assert image.getpixel((3, 1)) == (0, 128, 255)


def test_panel_of_an_explainer_has_a_row_an_image_and_leaves_it_alone(source, images):
    explainer = PTAME(source, source)
    before = explainer.fingerprints()
    drawn = explained_panel(explainer, images)
    assert drawn.shape == (3, 3 * (96 + 22 + 8), 5 * (128 + 8))
    assert explainer.fingerprints() == before
