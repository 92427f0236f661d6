import pytest
import torch
from matplotlib.text import Text

from explainers.images.drawing_style import DrawingStyle
from explainers.images.labelled_maps import CAVEAT, LabelledMap, figure_of_maps


def one(caption="cat", probability=0.5, method="cam", **more):
    image, values = torch.rand(3, 40, 60), torch.rand(1, 40, 60)
    return LabelledMap(image, values, values - 0.5, caption, probability, method, "worth", **more)


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_map_alone_has_class_probability_method_and_what_its_values_mean():
    assert words(figure_of_maps([[one()]])) == ["50.0 %", "cat", "cam", "worth", "0", "0.5", "1"]


@pytest.mark.parametrize(
    ("probability", "warned"), [(4e-4, True), (6e-4, False), (float("nan"), False)]
)
def test_class_that_the_network_rules_out_has_a_caveat(probability, warned):
    assert (CAVEAT in words(figure_of_maps([[one(probability=probability)]]))) == warned


def test_image_stands_beside_its_map():
    figure = figure_of_maps([[one()]], DrawingStyle(beside=True))
    assert words(figure)[:3] == ["50.0 %", "cat", "cam"]
    assert len(figure.axes[0].images) == 3


def test_row_has_the_image_its_reference_and_each_method_and_a_scale_for_each_kind():
    rows = [[one(), one(method="grad", signed=True)], [one("dog"), one("fox", method="grad")]]
    figure = figure_of_maps(rows, references=[torch.rand(3, 20, 20), None])
    shown = words(figure)
    assert shown[:5] == ["50.0 %", "cat", "reference", "cam", "grad"]
    assert "fox  50.0 %" in shown  # its class is not that of the row
    assert shown[-3:] == ["against", "0", "for"]
