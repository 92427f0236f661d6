import numpy as np
import pytest
import torch
from PIL import Image

from explainers import PTAME
from explainers.errors import InputError
from explainers.explanation import plot
from explainers.images.drawing_style import DrawingStyle

RANDOM_RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


@pytest.fixture(scope="module")
def explainer():
    torch.manual_seed(0)
    return PTAME(RANDOM_RESNET, RANDOM_RESNET)


@pytest.fixture
def files(tmp_path):
    """A wide and a high photograph of noise."""
    paths = []
    for index, size in enumerate([(90, 60), (50, 120)]):
        noise = np.random.default_rng(index).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        paths.append(tmp_path / f"photo{index}.png")
        Image.fromarray(noise).save(paths[-1])
    return paths


def test_tensor_is_explained_as_it_is(explainer, images):
    explanation = explainer.explain(images, 2)
    torch.testing.assert_close(
        explanation.scores, explainer(images, torch.tensor([2, 2, 2])).detach()
    )
    assert explanation.target.tolist() == [2, 2, 2]


def test_one_image_of_any_kind_will_do(explainer, files, images):
    picture = Image.open(files[0])
    for one in (files[0], str(files[0]), picture, images[0]):
        assert len(explainer.explain(one)) == 1
    torch.testing.assert_close(explainer.explain(picture).maps, explainer.explain(files[0]).maps)


def test_maps_come_back_at_the_files_own_sizes(explainer, files):
    explanation = explainer.explain(files, [1, 3])
    assert [tuple(one.maps.shape) for one in explanation] == [(1, 1, 60, 90), (1, 1, 120, 50)]
    alone = explainer.explain(files[1], 3)
    torch.testing.assert_close(explanation[1].maps, alone.maps)
    with pytest.raises(ValueError, match="2 different sizes"):
        _ = explanation.maps


def test_crop_shows_what_the_classifier_is_evaluated_on(explainer, files):
    explanation = explainer.explain(files, crop=True)
    assert explanation.maps.shape == (2, 1, *explainer.classifier.size)


def test_probability_is_that_of_the_explained_class(explainer, images):
    expected = explainer.classifier(images).softmax(dim=1)[:, 2].detach()
    torch.testing.assert_close(explainer.explain(images, 2).probabilities, expected)


def test_save_writes_overlay_and_arrays(explainer, files, tmp_path):
    explanation = explainer.explain(files, [1, 3])
    pictures = explanation.save(tmp_path / "out")
    assert [path.name for path in pictures] == ["photo0.png", "photo1.png"]
    with Image.open(pictures[1]) as picture:
        assert picture.height > picture.width
    with np.load(tmp_path / "out/photo1.npz") as arrays:
        assert arrays["map"].shape == (120, 50)
        assert arrays["map"].dtype == np.float32
        assert arrays["target"] == 3
        assert arrays["probability"] == pytest.approx(float(explanation.probabilities[1]))
        np.testing.assert_array_equal(arrays["map"], explanation[1].maps[0, 0])


def test_save_writes_the_style_and_kind_asked_for(explainer, files, tmp_path):
    explanation = explainer.explain(files[:1])
    style = DrawingStyle(opacity=0.5, colour_map="cividis", theme="dark")
    (path,) = explanation.save(tmp_path, style)
    (drawn,) = explanation.pictures(style)
    with Image.open(path) as picture:
        saved = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1) / 255
    torch.testing.assert_close(saved, drawn, rtol=0, atol=1.01 / 255)
    (path,) = explanation.save(tmp_path, kind="svg")
    assert path.name == "photo0.svg"


def test_pictures_do_not_change_the_arrays(explainer, files):
    explanation = explainer.explain(files[:1])
    before = explanation.maps.clone()
    explanation.pictures()
    assert torch.equal(explanation.maps, before)


def test_plot_has_a_row_an_image_and_a_column_a_method(explainer, files):
    explanation = explainer.explain(files, 1)
    assert len(plot(explanation).axes[0].images) == 2 * 2 + 1  # and the scale
    both = plot({"mine": explanation, "theirs": explanation}, DrawingStyle(drawing="mask"))
    assert len(both.axes[0].images) == 2 * 3
    assert explanation._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="same images"):
        plot({"mine": explanation, "theirs": explanation[0]})


def test_images_of_the_same_name_do_not_overwrite_each_other(explainer, files, tmp_path):
    pictures = explainer.explain([files[0], files[0]]).save(tmp_path / "out")
    assert len(set(pictures)) == 2


def test_missing_image_is_named(explainer, tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.png"):
        explainer.explain(tmp_path / "nowhere.png")
