"""`explain --reference` and `--gallery`, as a user meets them."""

import numpy as np
import pytest
import torch
from PIL import Image

from explainers import FAM
from explainers.cli import main
from explainers.commands.reference_images import Gallery, reference
from explainers.errors import InputError
from explainers.images.reading import open_image, to_tensor

TINY = {"model": "test_resnet", "pretrained": False}


def paint(path, colour, size=(40, 30)):
    """Write noise of a colour."""
    noise = np.random.default_rng(0).integers(0, 40, (size[1], size[0], 3))
    Image.fromarray((noise + colour).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def red(tmp_path):
    return paint(tmp_path / "red.png", (200, 0, 0))


@pytest.fixture
def gallery(tmp_path):
    """Something like `red`, higher than wide, beside something else and a file of text."""
    folder = tmp_path / "gallery"
    (folder / "below").mkdir(parents=True)
    paint(folder / "below/crimson.png", (190, 5, 5), (30, 50))
    paint(folder / "blue.png", (0, 0, 200))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "fam.yaml"
    path.write_text(f"model: {{class_path: explainers.FAM, init_args: {{classifier: {TINY}}}}}\n")
    return path


def explain(config, image, output, *more):
    arguments = ["--config", str(config), "--image", str(image), "--output", str(output)]
    return main(["explain", *arguments, *map(str, more)])


@pytest.mark.parametrize("weights", ["plain", "decomposition"])
def test_query_and_references_are_drawn_side_by_side(
    config, red, gallery, tmp_path, capsys, weights
):
    config.write_text(
        config.read_text().replace("{classifier", f"{{weights: {weights}, classifier")
    )
    supports = [gallery / "below/crimson.png", gallery / "blue.png"]
    assert explain(config, red, tmp_path / "out", "--reference", *supports) == 0
    with Image.open(tmp_path / "out/red-pair.png") as picture:
        assert 1.5 < picture.width / picture.height < 4  # three pictures side by side
    assert (tmp_path / "out/red.npz").is_file()
    assert "cosine 0." in capsys.readouterr().out


def test_several_references_are_their_mean(gallery):
    explainer = FAM(TINY)
    supports = [gallery / "below/crimson.png", gallery / "blue.png"]
    each = [
        explainer.embed(to_tensor(open_image(file), explainer.classifier.size, None)[None])
        for file in supports
    ]
    torch.testing.assert_close(reference(explainer, supports).target, (each[0] + each[1]) / 2)


def test_nearest_image_of_a_gallery_is_the_reference(config, red, gallery, tmp_path, capsys):
    assert explain(config, red, tmp_path / "out", "--gallery", gallery) == 0
    assert "crimson.png" in capsys.readouterr().out
    assert (tmp_path / "out/red-pair.png").is_file()


def test_image_of_the_gallery_is_not_its_own_match(gallery):
    match = Gallery(FAM(TINY), gallery).nearest(gallery / "blue.png")
    assert [file.name for file in match.files] == ["crimson.png"]


def test_gallery_in_chunks_is_the_same(gallery):
    explainer = FAM(TINY)
    one, all_ = Gallery(explainer, gallery, chunk_size=1), Gallery(explainer, gallery)
    torch.testing.assert_close(one.embeddings, all_.embeddings)


def test_gallery_without_another_image(tmp_path):
    with pytest.raises(InputError, match=r"no image file in .*; name a folder"):
        Gallery(FAM(TINY), tmp_path)
    only = paint(tmp_path / "only.png", (0, 90, 0))
    with pytest.raises(InputError, match="only image of its gallery"):
        Gallery(FAM(TINY), tmp_path).nearest(only)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "FAM explains reference embeddings, not class labels"),
        (["--target", "1"], "FAM explains reference embeddings, not class labels"),
        (["--reference", "nowhere.png"], "no image file at"),
        (["--reference", "red.png", "text.jpg"], "text.jpg cannot be read as an image"),
        (["--gallery", "nowhere"], "no image file in"),
        (["--gallery", "."], "text.jpg cannot be read as an image"),
    ],
)
def test_bad_reference_is_one_line_and_exit_code_two(
    config, red, tmp_path, capsys, monkeypatch, more, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.jpg").write_text("no image")
    assert explain(config, red, tmp_path / "out", *more) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(("name", "message"), [("nowhere.png", "no image"), ("text.jpg", "read")])
def test_bad_image_is_one_line_beside_those_that_are_explained(
    config, red, tmp_path, capsys, name, message
):
    (tmp_path / "text.jpg").write_text("no image")
    assert explain(config, tmp_path / name, tmp_path / "out", "--reference", red) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert name in line
    assert message in line
    arguments = ["--config", config, "--image", tmp_path / name, red, "--output", tmp_path / "out"]
    assert main(["explain", *map(str, arguments), "--reference", str(red)]) == 2
    assert (tmp_path / "out/red-pair.png").is_file()


def test_image_compared_with_itself_is_drawn_twice_alike(config, red, tmp_path, capsys):
    assert explain(config, red, tmp_path / "out", "--reference", red) == 0
    assert "cosine 1.000" in capsys.readouterr().out
    with Image.open(tmp_path / "out/red-pair.png") as picture:
        pixels = np.asarray(picture)[:, :, :3]
    # Under the words; 3.4 inches wide each, beside margins of 0.12 and a gap of 0.1.
    side, margin, gap = (round(144 * inches) for inches in (3.4, 0.12, 0.1))
    starts = (margin + 2, margin + side + gap + 2)
    left, right = (pixels[60:300, start : start + side - 6] for start in starts)
    np.testing.assert_allclose(left, right, atol=8)
    assert left.std() > 0


def test_other_methods_refuse_a_pair(config, red, tmp_path, capsys):
    config.write_text(config.read_text().replace("FAM", "OptiCAM"))
    assert explain(config, red, tmp_path / "out", "--reference", red) == 2
    assert "OptiCAM shows no match of two images" in capsys.readouterr().err
