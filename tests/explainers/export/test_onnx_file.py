"""Exported files answer as torch does, say what they are, and need none of this library."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from explainers import LCAM, PTAME, TAME, Explainer, LearnedExplainer, PTAMEPlus
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.errors import ArchitectureError, InputError
from explainers.export import onnx_file
from explainers.export.graph import ExplainerGraph
from explainers.export.onnx_file import export_onnx
from explainers.export.torch_file import export_torch
from explainers.methods import METHODS

DOCUMENTATION = Path(__file__).parents[3] / "docs/export.md"
UNLEARNED = [kind for kind in METHODS.values() if not issubclass(kind, LearnedExplainer)]

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
    [(TAME, "test_resnet"), (TAME, "test_vit"), (LCAM, "test_vit"), (PTAMEPlus, "test_resnet")],
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
    with pytest.raises(InputError, match=r"differ from torch by \d.\de[+-]\d\d, over 1e-04"):
        export_torch(Inverted(source()), path)
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_own_features_and_logits_share_one_pass():
    explainer = PTAMEPlus(source()).eval()
    program = ExplainerGraph(explainer, with_classifier=True, half=False).program()
    convolutions = [node for node in program.graph.nodes if "conv2d" in str(node.target)]
    layers = [part for part in explainer.classifier.modules() if isinstance(part, nn.Conv2d)]
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


@pytest.fixture(params=UNLEARNED, ids=lambda kind: kind.__name__)
def unlearned(request):
    for name in ("test_vit", "test_resnet"):
        try:
            return request.param(source(name))
        except ArchitectureError:
            continue
    raise AssertionError(f"no tiny classifier for {request.param.__name__}")


def test_methods_of_more_than_one_pass_say_why(unlearned, tmp_path):
    assert unlearned.export_obstacle != Explainer.export_obstacle
    told = f"{type(unlearned).__name__} cannot be exported: it {unlearned.export_obstacle}; a learn"
    with pytest.raises(InputError, match=re.escape(told)):
        export_onnx(unlearned, tmp_path / "one.onnx")
    assert not list(tmp_path.iterdir())


def test_refinement_cannot_be_exported(tmp_path):
    explainer = PTAMEPlus(source(), refinement_steps=2)
    with pytest.raises(
        InputError,
        match=r"^PTAMEPlus cannot be exported: it optimises each map by gradient steps; set "
        r"refinement_steps to 0$",
    ):
        export_torch(explainer, tmp_path / "one.pt2")
    explainer.refinement_steps = 0
    assert explainer.export_obstacle is None


def test_ending_of_the_file_is_checked(tmp_path):
    with pytest.raises(InputError, match=r"has to end in \.pt2, got 'one\.onnx'"):
        export_torch(LCAM(source()), tmp_path / "one.onnx")


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package onnx; .*learned-explainers\[export\]"):
        export_onnx(LCAM(source()), tmp_path / "one.onnx")


def one_line(capsys):
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_command_says_why_a_config_cannot_be_exported(tmp_path, capsys):
    config = tmp_path / "opticam.yaml"
    config.write_text(
        "model:\n  class_path: explainers.OptiCAM\n  init_args:\n"
        "    classifier: {model: test_resnet, pretrained: false}\n"
    )
    command = ["export", "--config", str(config), "--format", "onnx"]
    assert main([*command, "--output", str(tmp_path / "one.onnx")]) == 2
    assert "OptiCAM cannot be exported: it optimises each map" in one_line(capsys)


@pytest.fixture
def bundle(tmp_path):
    explainer = PTAMEPlus(source())
    path = tmp_path / "weights.pth"
    torch.save(explainer.classifier.model.state_dict(), path)
    explainer = PTAMEPlus({"model": "test_resnet", "weights": str(path)})
    return save_bundle(explainer, tmp_path / "bundle", {}, [], None)


def test_opset_is_refused_for_torch(bundle, tmp_path, capsys):
    command = ["export", "--checkpoint", str(bundle), "--format", "torch", "--opset", "18"]
    assert main([*command, "--output", str(tmp_path / "one.pt2")]) == 2
    assert "--opset 18 is for --format onnx" in one_line(capsys)


@pytest.mark.slow
def test_documented_example_runs_where_torch_cannot_be_imported(bundle, tmp_path, capsys):
    model, photo, picture = (tmp_path / name for name in ("one.onnx", "photo.png", "map.png"))
    command = ["export", "--checkpoint", str(bundle), "--format", "onnx", "--with-classifier"]
    assert main([*command, "--output", str(model)]) == 0
    assert re.search(r"float32, opset 20, \d\.\d MB, differs", capsys.readouterr().out)
    explainer = load_explainer(bundle)
    values = np.random.default_rng(0).integers(0, 255, (*explainer.classifier.size, 3), np.uint8)
    Image.fromarray(values).save(photo)
    (example,) = re.findall(r"```python\n(import json.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text("import sys\nsys.modules['torch'] = None\n" + example)
    arguments = [sys.executable, str(script), str(model), str(photo), str(picture)]
    run = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    explanation = explainer.explain(photo)
    assert run.stdout.strip() == explanation.captions[0]
    answered = np.asarray(Image.open(picture)).astype(float) / 255
    # Eight bits in the picture.
    np.testing.assert_allclose(
        answered, explanation.maps[0, 0].numpy(), rtol=0, atol=0.5 / 255 + 1e-4
    )
