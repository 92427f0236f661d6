"""Exported files answer as torch does, and say what they are."""

import json
from functools import partial

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from explainers import LCAM, PTAME, TAME, Distilled, MaskingUNet, PTAMEPlus, ShapleyExplainer
from explainers.errors import InputError
from explainers.export import onnx_file
from explainers.export.graph import ExplainerGraph
from explainers.export.onnx_file import export_onnx
from explainers.export.torch_file import export_torch

# torch's exporters and onnxscript warn of their own parts.
pytestmark = pytest.mark.filterwarnings("default")


def source(name="test_resnet"):
    return {"model": name, "pretrained": False, "num_classes": 4}


def examples(explainer, count):
    return torch.rand(count, 3, *explainer.classifier.size), torch.arange(count) % 4


def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def assert_same(explainer, path, with_classifier, tolerance=1e-4):
    """Compare with torch for batches of 1, 2 and 5."""
    session = session_of(path)
    for count in (1, 2, 5):
        images, labels = examples(explainer, count)
        inputs = {"image": images.numpy(), "label": labels.numpy()}
        maps, *logits = session.run(None, inputs)
        expected = explainer.explain(images, labels).maps.numpy()
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, expected, rtol=0, atol=tolerance)
        assert len(logits) == with_classifier
        if with_classifier:
            expected = explainer.classifier(images).numpy()
            np.testing.assert_allclose(logits[0], expected, rtol=0, atol=tolerance)
            maps, _ = session.run(None, inputs | {"label": np.full(count, -1)})
            expected = explainer.explain(images).maps.numpy()
            np.testing.assert_allclose(maps, expected, rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_onnx_of_ptame_with_its_classifier(name, tmp_path):
    explainer = PTAME(source(name), source(name)).eval()
    written = export_onnx(explainer, tmp_path / "one.onnx", with_classifier=True)
    assert written.difference <= 1e-4
    assert written.size == written.path.stat().st_size
    assert list(tmp_path.iterdir()) == [written.path]
    assert_same(explainer, written.path, with_classifier=True)
    about = session_of(written.path).get_modelmeta().custom_metadata_map
    assert about["class"] == "PTAME"
    assert about["classifier"] == name
    assert json.loads(about["fingerprints"]) == explainer.fingerprints()
    assert json.loads(about["class_names"]) == ["class 0", "class 1", "class 2", "class 3"]
    assert json.loads(about["image_size"]) == list(explainer.classifier.size)
    assert (about["precision"], about["opset"]) == ("float32", "20")
    assert "learned-explainers" in about


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TAME, "test_resnet"),
        (TAME, "test_vit"),
        (LCAM, "test_vit"),
        (PTAMEPlus, "test_resnet"),
        (ShapleyExplainer, "test_resnet"),
        (MaskingUNet, "test_resnet"),
        (MaskingUNet, "test_vit"),
        (partial(Distilled, teacher_normalisation="rms"), "test_resnet"),
    ],
)
def test_onnx_without_the_classifier(kind, name, tmp_path):
    explainer = kind(source(name)).eval()
    assert_same(explainer, export_onnx(explainer, tmp_path / "one.onnx").path, False)


@pytest.mark.slow
@pytest.mark.parametrize("export", [export_onnx, export_torch])
def test_published_normalisation_is_exported_and_named(export, tmp_path):
    explainer = PTAME(source(), source(), normalisation="minmax").eval()
    path = tmp_path / ("one.onnx" if export is export_onnx else "one.pt2")
    written = export(explainer, path)
    assert written.metadata["normalisation"] == "minmax"
    images, labels = examples(explainer, 3)
    expected = explainer.explain(images, labels).maps
    assert torch.equal(expected.amax((1, 2, 3)), torch.ones(3))
    if export is export_torch:
        (maps,) = torch.export.load(path).module()(images, labels)
    else:
        inputs = {"image": images.numpy(), "label": labels.numpy()}
        maps = torch.from_numpy(session_of(path).run(None, inputs)[0])
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("removal", ["black", "tokens"])
def test_shapley_values_are_exported_with_the_classifier_that_they_sum_to(removal, tmp_path):
    explainer = ShapleyExplainer(source("test_vit"), removal=removal, width=16).eval()
    written = export_torch(explainer, tmp_path / "one.pt2", with_classifier=True)
    images, labels = examples(explainer, 3)
    maps, logits = torch.export.load(written.path).module()(images, labels)
    torch.testing.assert_close(maps, explainer.explain(images, labels).maps, rtol=0, atol=1e-4)
    torch.testing.assert_close(logits, explainer.classifier(images), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_label_that_is_no_class_gives_nan_and_leaves_its_batch_alone(tmp_path):
    explainer = LCAM(source()).eval()
    written = export_torch(explainer, tmp_path / "one.pt2")
    images, _ = examples(explainer, 3)
    (maps,) = torch.export.load(written.path).module()(images, torch.tensor([4, 1, -1]))
    assert maps[[0, 2]].isnan().all()
    expected = explainer.explain(images[1:2], [1]).maps
    torch.testing.assert_close(maps[1:2], expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_torch_export_says_what_it_is(tmp_path):
    explainer = PTAMEPlus(source("test_vit")).eval()
    written = export_torch(explainer, tmp_path / "one.pt2", with_classifier=True)
    about = {"metadata.json": ""}
    module = torch.export.load(written.path, extra_files=about).module()
    assert json.loads(about["metadata.json"]) == written.metadata
    for count in (1, 2, 5):
        images, labels = examples(explainer, count)
        maps, logits = module(images, labels)
        torch.testing.assert_close(maps, explainer.explain(images, labels).maps, atol=1e-4, rtol=0)
        torch.testing.assert_close(logits, explainer.classifier(images), atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"stages": [1, 2, -1], "decoder_width": 8}], ids=["fusing", "decoding"]
)
def test_half_precision_computes_in_half_and_speaks_float32(options, tmp_path):
    explainer = PTAMEPlus(source(), **options).eval()
    written = export_onnx(explainer, tmp_path / "half.onnx", with_classifier=True, half=True)
    assert 1e-6 < written.difference <= 0.05
    weights = sum(weight.nbytes for weight in explainer.parameters())
    assert written.size < 0.75 * weights + 100_000  # beside the weights, the graph
    session = session_of(written.path)
    types = [value.type for value in [*session.get_inputs(), *session.get_outputs()]]
    assert types == ["tensor(float)", "tensor(int64)", "tensor(float)", "tensor(float)"]
    assert session.get_modelmeta().custom_metadata_map["precision"] == "float16"


@pytest.mark.slow
def test_weights_that_one_file_cannot_hold_go_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "ONE_FILE_BYTES", 0)
    explainer = LCAM(source()).eval()
    written = export_onnx(explainer, tmp_path / "big.onnx", opset=18)
    names = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert names.keys() == {"big.onnx", "big.onnx.data"}
    assert written.size == sum(names.values())
    assert written.metadata["opset"] == "18"
    assert_same(explainer, written.path, False)


class Inverted(LCAM):
    """Answers otherwise than its network."""

    def to_maps(self, scores):
        return scores

    def postprocess(self, images, target, masks):
        return 1 - masks


@pytest.mark.slow
def test_file_that_differs_from_torch_is_not_written(tmp_path):
    path = tmp_path / "one.pt2"
    path.write_text("what was there")
    with pytest.raises(InputError, match=r"differ from torch by \d.\de[+-]\d\d, over 1e-03"):
        export_torch(Inverted(source()), path)
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_own_features_and_logits_share_one_pass():
    explainer = PTAMEPlus(source()).eval()
    program = ExplainerGraph(explainer, with_classifier=True, half=False).program()
    convolutions = [node for node in program.graph.nodes if "conv2d" in str(node.target)]
    networks = explainer.classifier, explainer.network.head
    layers = [part for one in networks for part in one.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == len(layers)


def test_graph_leaves_the_explainer_as_it_is():
    explainer = PTAME(source(), source()).eval()
    images, labels = examples(explainer, 2)
    before = explainer.explain(images, labels).maps
    fingerprints = explainer.fingerprints()
    ExplainerGraph(explainer, with_classifier=True, half=True)
    assert explainer.fingerprints() == fingerprints
    torch.testing.assert_close(explainer.explain(images, labels).maps, before, rtol=0, atol=0)
    assert any(weight.requires_grad for weight in explainer.parameters())
