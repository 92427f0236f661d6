import pytest
import torch

from explainers import ActivationMap, FrozenClassifier
from explainers.classifier.class_names import class_of, read_class_names
from explainers.errors import InputError

RANDOM = {"model": "test_resnet", "pretrained": False}
NAMES = ["tench, Tinca tinca", "bull mastiff", "crane", "crane", "great_white", "Great Dane"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bull mastiff", 1),
        ("Bull  Mastiff", 1),
        ("Tinca tinca", 0),
        ("tench", 0),
        ("tench, Tinca tinca", 0),
        ("great white", 4),
        ("great_dane", 5),
    ],
)
def test_a_class_is_found_by_its_name_or_a_synonym(name, expected):
    assert class_of(name, NAMES) == expected


def test_a_whole_name_comes_before_a_synonym():
    assert class_of("shark", ["great white, shark", "shark"]) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crane", r"several classes are called 'crane': 2 \(crane\), 3 \(crane\); give the number"),
        ("bull mastif", r"no class is called 'bull mastif'; did you mean bull mastiff \(1\)"),
        ("dane", r"did you mean crane \(3\), Great Dane \(5\)"),
        ("xylophone", r"no class is called 'xylophone'; give a number, 0 to 5"),
        ("", r"no class is called ''; give a number, 0 to 5"),
    ],
)
def test_no_class_or_several_of_a_name(name, words):
    with pytest.raises(InputError, match=words):
        class_of(name, NAMES)


def test_names_come_from_a_file(tmp_path):
    (tmp_path / "names.txt").write_text("Kätzchen\n\n  dog \n", encoding="utf-8")
    assert read_class_names(str(tmp_path / "names.txt")) == ["Kätzchen", "dog"]
    source = RANDOM | {"num_classes": 2, "class_names": str(tmp_path / "names.txt")}
    classifier = FrozenClassifier.of(source)
    assert classifier.class_names == ["Kätzchen", "dog"]
    assert classifier.source["class_names"] == ["Kätzchen", "dog"]  # a bundle needs no such file
    with pytest.raises(InputError, match="must name all 3 classes in the order of the logits, got"):
        _ = FrozenClassifier.of(source | {"num_classes": 3}).class_names


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00c"])
def test_a_file_that_is_none_of_names(tmp_path, content):
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="names"):
        read_class_names(str(path))


def test_an_image_is_explained_for_a_class_by_name():
    explainer = ActivationMap(RANDOM | {"num_classes": 3, "class_names": ["cat", "dog", "owl"]})
    images = torch.rand(2, 3, 64, 64)
    found = explainer.explain(images, ["owl", 0])
    assert found.captions == ["owl", "cat"]
    assert explainer.explain(images, "dog").target.tolist() == [1, 1]
    assert torch.equal(explainer.explain(images, "owl").maps, explainer.explain(images, 2).maps)
    with pytest.raises(InputError, match=r"no class is called 'owel'; did you mean owl \(2\)"):
        explainer.explain(images, "owel")


def test_classes_without_names_are_numbered_until_they_get_some():
    classifier = FrozenClassifier.of(RANDOM | {"num_classes": 2})
    assert classifier.class_names == ["class 0", "class 1"]
    assert classifier.known_names is None
    classifier.name_classes(["cat", "dog"])
    assert classifier.class_names == ["cat", "dog"]
    assert classifier.source["class_names"] == ["cat", "dog"]
    with pytest.raises(InputError, match="class_names must name all 2 classes"):
        classifier.name_classes(["cat"])
