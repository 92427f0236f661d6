from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from explainers import FAM, PTAME, FrozenClassifier, LearnedExplainer, OptiCAM, PTAMEPlus
from explainers.app.answers import write_answers
from explainers.app.workbench import Workbench
from explainers.app.workbenches import load_workbenches, untrained_methods
from explainers.bundle import save_bundle
from explainers.errors import InputError
from explainers.images.drawing_style import DrawingStyle
from explainers.images.reading import to_tensor
from explainers.methods import METHODS


def photograph(seed, size=(90, 60)):
    noise = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(noise)


def random_classifier(model):
    torch.manual_seed(0)
    classifier = FrozenClassifier(model, pretrained=False, num_classes=6)
    torch.nn.init.normal_(classifier.model.get_classifier().weight)
    return classifier


@pytest.fixture(scope="module")
def convolutional():
    classifier = random_classifier("test_resnet")
    trained = PTAME(classifier, classifier).eval()
    return Workbench({"trained": trained} | untrained_methods(classifier))


@pytest.fixture(scope="module")
def transformer():
    return Workbench(untrained_methods(random_classifier("test_vit")))


def kinds(bench, names):
    return {type(bench.methods[name]).__name__ for name in names}


def test_all_that_needs_no_training_is_offered_where_the_classifier_fits(
    convolutional, transformer
):
    concrete = {name for name, kind in METHODS.items() if not issubclass(kind, LearnedExplainer)}
    baselines = {"CAMBaseline"}
    assert kinds(transformer, transformer.methods) - baselines == concrete
    of_tokens = {"AttentionMap", "CDAM", "IntegratedCDAM", "RCut", "RelevancePropagation"}
    of_tokens |= {"SmoothCDAM", "TokenAblation"}
    offered = kinds(convolutional, convolutional.methods) - baselines
    assert offered == concrete - of_tokens | {"PTAME"}


def test_each_method_is_offered_for_what_it_can_explain(convolutional, transformer):
    similarity = {"FAM", "SimilarityGradCAM"}
    for bench in (convolutional, transformer):
        assert kinds(bench, bench.of_pairs) == similarity
        assert not kinds(bench, bench.of_classes) & similarity
        assert kinds(bench, bench.of_concepts) >= similarity | {"OptiCAM"}
    assert "PTAME" in kinds(convolutional, convolutional.of_classes)
    assert "PTAME" not in kinds(convolutional, convolutional.of_concepts)
    assert "CDAM" in kinds(transformer, transformer.of_concepts)
    assert "RCut" not in kinds(transformer, transformer.of_concepts)


def test_likeliest_classes_come_first(convolutional):
    image = photograph(0)
    tensor = to_tensor(image, convolutional.classifier.size, None)
    expected = convolutional.classifier(tensor[None]).softmax(1)[0].tolist()
    top = convolutional.top_classes(image)
    assert [one.label for one in top] == sorted(range(6), key=lambda i: -expected[i])[:5]
    assert [one.probability for one in top] == pytest.approx([expected[one.label] for one in top])
    assert len(convolutional.top_classes(image, count=100)) == 6


def test_several_methods_answer_as_they_do_alone(convolutional):
    image = photograph(0)
    answers = convolutional.why(["trained", "ActivationMap"], image, 3)
    assert [one.method for one in answers] == ["trained", "ActivationMap"]
    for answer in answers:
        alone = convolutional.methods[answer.method].explain(image, 3)
        torch.testing.assert_close(answer.explanation.maps, alone.maps)
        assert answer.seconds > 0


def test_concept_is_the_mean_embedding_of_its_images(convolutional):
    image, concept = photograph(0), [photograph(1), photograph(2, (50, 70))]
    (name,) = [name for name in convolutional.of_concepts if name.startswith("OptiCAM")]
    (answer,) = convolutional.where([name], image, concept)
    size = convolutional.classifier.size
    embeddings = [convolutional.classifier.embed(to_tensor(x, size, None)[None]) for x in concept]
    alone = convolutional.methods[name].explain(image, sum(embeddings) / 2)
    torch.testing.assert_close(answer.explanation.maps, alone.maps)
    assert answer.explanation.captions == ["concept"]


def test_two_images_are_shown_what_they_share(convolutional):
    image, other = photograph(0), photograph(1, (40, 80))
    (answer,) = convolutional.alike(["FAM"], image, other)
    explainer = FAM(convolutional.classifier)
    tensors = [to_tensor(one, convolutional.classifier.size, None)[None] for one in (image, other)]
    scores = explainer.pair(*tensors)
    similarity = float(explainer.similarity(tensors[0], explainer.embed(tensors[1])))
    assert [tuple(one.shape) for one in answer.explanation.score_list] == [(1, 60, 90), (1, 80, 40)]
    for shown, own in zip(answer.explanation.score_list, scores, strict=True):
        resized = torch.nn.functional.interpolate(
            own, shown.shape[-2:], mode="bilinear", antialias=True
        )
        torch.testing.assert_close(shown[None], resized)
    assert answer.explanation.captions[0] == f"the image: cosine {similarity:.3f}"


@pytest.mark.parametrize(
    ("methods", "message"), [([], "no method is chosen"), (["FAM"], "unknown method 'FAM'")]
)
def test_methods_that_cannot_answer_are_refused(convolutional, methods, message):
    with pytest.raises(InputError, match=message):
        convolutional.why(methods, photograph(0), 1)


def test_the_method_that_fails_is_named(convolutional):
    with pytest.raises(InputError, match="trained: target 6 is outside the classes"):
        convolutional.why(["trained"], photograph(0), 6)


def test_callers_at_once_get_what_each_would_get_alone(convolutional):
    pytest.importorskip("pytorch_grad_cam")
    cases = [(photograph(seed), seed % 6) for seed in range(8)]

    def ask(case):
        return convolutional.why(["Grad-CAM"], *case)[0].explanation.maps

    expected = [ask(case) for case in cases]
    with ThreadPoolExecutor(4) as threads:
        for actual, alone in zip(threads.map(ask, cases), expected, strict=True):
            torch.testing.assert_close(actual, alone)


def test_one_answer_is_written_as_an_explanation_is_saved(convolutional, tmp_path):
    (answer,) = convolutional.why(["trained"], photograph(0), 3)
    (tmp_path / "one").mkdir()
    written = write_answers([answer], DrawingStyle(), tmp_path / "one", "cup")
    assert (written.png.name, written.npz.name) == ("cup.png", "cup.npz")
    (saved,) = answer.explanation.save(tmp_path / "saved")
    assert written.png.read_bytes() == saved.read_bytes()
    with Image.open(written.overlays[0][0]) as overlay, Image.open(written.photograph) as photo:
        assert overlay.size == photo.size == (90, 60)  # without captions
    with np.load(written.npz) as ours, np.load(saved.with_suffix(".npz")) as theirs:
        assert set(ours) == set(theirs)
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key])


def test_several_answers_stand_side_by_side_under_their_names(convolutional, tmp_path):
    answers = convolutional.alike(convolutional.of_pairs, photograph(0), photograph(1, (40, 80)))
    written = write_answers(answers, DrawingStyle(), tmp_path)
    assert [text.split(",")[0] for _, text in written.overlays] == [
        "FAM",
        "FAM",
        "SimilarityGradCAM",
        "SimilarityGradCAM",
    ]
    assert written.photograph is None
    with Image.open(written.png) as image:
        assert image.width > image.height  # a row an image, a column a method
    with np.load(written.npz) as arrays:
        assert arrays["FAM/image/map"].shape == (60, 90)
        assert arrays["SimilarityGradCAM/other/scores"].shape == (80, 40)


def config(folder, **options):
    path = folder / "tiny.yaml"
    path.write_text(
        "model:\n  class_path: explainers.OptiCAM\n  init_args:\n    steps: 2\n"
        "    classifier: {model: test_resnet, pretrained: false, num_classes: 6}\n"
    )
    return path


def test_what_is_asked_for_comes_before_what_needs_no_training(tmp_path):
    benches = load_workbenches([], [config(tmp_path)])
    (bench,) = benches.values()
    assert list(benches) == ["test_resnet"]
    assert next(iter(bench.methods)) == bench.of_classes[0] == "tiny"
    assert isinstance(bench.methods["tiny"], OptiCAM)
    assert bench.methods["FAM"].classifier is bench.classifier


def test_weights_elsewhere_go_to_the_bundles_that_are_named(tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "weights.pth"
    source = {"model": "test_resnet", "num_classes": 6, "pretrained": False}
    torch.save(FrozenClassifier.of(source).model.state_dict(), weights)
    bundle = tmp_path / "bundle"
    explainer = PTAMEPlus(source | {"weights": str(weights)})
    save_bundle(explainer, bundle, training={}, scores=[], picture=None)
    moved = weights.rename(tmp_path / "moved.pth")
    with pytest.raises(InputError, match=r"weights\.pth"):
        load_workbenches([str(bundle)])
    (bench,) = load_workbenches([str(bundle)], classifier_weights=moved).values()
    assert next(iter(bench.methods)) == "bundle"
    with pytest.raises(InputError, match="--classifier-weights goes with --checkpoint"):
        load_workbenches([], [], moved)


def test_nothing_to_load_is_told_with_a_way_out(tmp_path):
    with pytest.raises(InputError, match=r"no bundle to load in .*--checkpoint"):
        load_workbenches(folder=tmp_path)


def test_bundles_at_hand_that_cannot_be_loaded_are_left_out_and_named(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/config.json").write_text("{}")
    with (
        pytest.warns(UserWarning, match=r"left out .*broken"),
        pytest.raises(InputError, match="no bundle"),
    ):
        load_workbenches(folder=tmp_path)
