import errno
import logging

import pytest
import torch

from explainers import FrozenClassifier, OptiCAM, PTAMEPlus
from explainers.base import Explainer
from explainers.baselines import RISE
from explainers.errors import InputError
from explainers.training.teacher_maps import TeacherMaps, _identity, likeliest, normalised
from explainers.training.tensor_files import pixel_digest

RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
ROOM = 1.0  # GiB


class Counting(Explainer):
    """Scores a pixel with its red less the class's number, and notes what it is asked for."""

    def __init__(self, classifier, scale=1.0):
        super().__init__(classifier)
        self.scale = scale
        self.asked = []

    def attribute(self, images, target):
        self.asked += target.tolist()
        return self.scale * (images[:, :1] - target[:, None, None, None])


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return FrozenClassifier.of(RESNET)


@pytest.fixture
def teacher(classifier):
    return Counting(classifier)


@pytest.fixture
def classes():
    return torch.tensor([[0, 1], [2, 3], [1, 0]])


def in_folder(teacher, folder, size=64, limit=ROOM):
    return TeacherMaps.in_folder(teacher, size, folder, limit)


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_maps_are_the_means_of_the_scores_for_each_image_and_class(teacher, images, classes):
    maps = TeacherMaps(teacher, size=32).maps(images, classes)
    assert maps.shape == (3, 2, 24, 32)
    for image, row, pair in zip(images, classes, maps, strict=True):
        for label, one in zip(row, pair, strict=True):
            expected = torch.stack(
                [
                    torch.stack([cell.mean() for cell in line.split(4, dim=1)])
                    for line in (image[0] - label).split(4, dim=0)
                ]
            )
            torch.testing.assert_close(one, expected, rtol=0, atol=3 / 2048)


def test_small_images_are_not_enlarged(teacher):
    images = torch.rand(1, 3, 16, 20)
    assert TeacherMaps(teacher, size=32).maps(images, torch.tensor([[1]])).shape == (1, 1, 16, 20)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_tiny_and_large_scores_keep_their_digits(classifier, images, classes, scale):
    maps = TeacherMaps(Counting(classifier, scale), size=128).maps(images, classes)
    expected = scale * (images[:, :1] - classes[:, :, None, None])
    assert (maps - expected).abs().max() < 3 * scale / 2048


def test_what_is_there_is_not_asked_for_again_also_in_the_next_run(
    teacher, images, classes, tmp_path
):
    first = in_folder(teacher, tmp_path)
    expected = first.maps(images, classes)
    assert sorted(teacher.asked) == [0, 0, 1, 1, 2, 3]
    second = in_folder(teacher, tmp_path)
    assert torch.equal(second.maps(images.flip(0), classes.flip(0)), expected.flip(0))
    assert len(teacher.asked) == 6
    assert (second.asked, second.found) == (6, 6)
    other = second.maps(images, (classes + 1) % 4)  # (1 2), (3 0), (2 1): three are new
    assert len(teacher.asked) == 9
    assert torch.equal(other[:, 0][:2], expected[:, 1][:2])
    assert (second.asked, second.found) == (12, 9)


def test_an_image_that_comes_twice_in_a_batch_is_asked_for_once(teacher, images, tmp_path):
    maps = in_folder(teacher, tmp_path).maps(images[[0, 0]], torch.tensor([[1, 1], [1, 2]]))
    assert teacher.asked == [1, 2]
    assert torch.equal(maps[0, 0], maps[1, 0])


def test_an_image_that_differs_in_a_bit_is_another(teacher, images, tmp_path):
    known = in_folder(teacher, tmp_path)
    known.maps(images[:1], torch.tensor([[1]]))
    images[0, 0, 0, 0] = torch.nextafter(images[0, 0, 0, 0], torch.tensor(2.0))
    known.maps(images[:1], torch.tensor([[1]]))
    assert teacher.asked == [1, 1]
    assert (
        len({pixel_digest(one.to(kind)) for one in images for kind in (torch.half, torch.bfloat16)})
        == 6
    )


def test_a_damaged_file_is_computed_anew(teacher, images, tmp_path):
    known = in_folder(teacher, tmp_path)
    label = torch.tensor([[1]])
    expected = known.maps(images[:1], label)
    (file,) = files_in(tmp_path)
    for content in (b"", file.read_bytes()[:-5], b"no tensors at all"):
        file.write_bytes(content)
        assert torch.equal(known.maps(images[:1], label), expected)
        assert torch.equal(known.maps(images[:1], label), expected)
    assert teacher.asked == [1] * 4


def test_a_full_folder_takes_no_more_and_says_so_once(teacher, images, classes, tmp_path, caplog):
    limit = 10_000
    known = in_folder(teacher, tmp_path, size=32, limit=limit / 2**30)
    with caplog.at_level(logging.WARNING):
        first, second = known.maps(images, classes), known.maps(images, classes)
    assert torch.equal(first, second)
    assert 0 < sum(file.stat().st_size for file in files_in(tmp_path)) <= limit
    kept = len(files_in(tmp_path))
    assert 0 < kept < 6
    assert len(teacher.asked) == 6 + 6 - kept
    assert caplog.text.count("the folder of teacher maps is full") == 1
    assert "raise teacher_maps_limit" in caplog.text
    again = in_folder(teacher, tmp_path, size=32, limit=limit / 2**30)
    assert again.files.room < limit - kept * 1000


def test_a_full_disk_does_not_end_the_training(teacher, images, classes, tmp_path, monkeypatch):
    known = in_folder(teacher, tmp_path)

    def full(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    assert known.maps(images, classes).shape == (3, 2, 48, 64)
    assert not files_in(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(teacher, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"the folder of teacher maps cannot be made: .*file"):
        in_folder(teacher, tmp_path / "file")


def test_likeliest_classes_are_kept(teacher, images, tmp_path):
    known = in_folder(teacher, tmp_path)
    read = []

    def logits(images):
        read.append(len(images))
        return images.mean((2, 3)) @ torch.tensor([[0.0, 3.0, 1.0, 2.0]] * 3)

    assert known.classes(images[:2], 2, logits).tolist() == [[1, 3]] * 2
    assert known.classes(images, 2, logits).tolist() == [[1, 3]] * 3
    assert known.classes(images, 2, logits).tolist() == [[1, 3]] * 3
    assert read == [2, 1]
    assert known.classes(images[:1], 3, logits).tolist() == [[1, 3, 2]]
    assert likeliest(torch.tensor([[0.0, 3.0, 1.0]]), 1).tolist() == [[1]]


def test_normalisations_by_hand():
    maps = torch.tensor([[[[-1.0, 3.0]], [[0.0, 0.0]]]])
    assert normalised(maps, "minmax").tolist() == [[[[0, 1]], [[0, 0]]]]
    root = 5**0.5  # of the mean of 1 and 9
    torch.testing.assert_close(
        normalised(maps, "rms"), torch.tensor([[[[-1 / root, 3 / root]], [[0.0, 0.0]]]])
    )
    assert normalised(maps, "answered") is maps


def test_scores_that_are_not_finite_are_refused(classifier, images, classes):
    with pytest.raises(InputError, match="Counting, answers with scores that are NaN or infinite"):
        TeacherMaps(Counting(classifier, float("inf")), 32).maps(images, classes)


def test_identity_is_of_teacher_settings_weights_and_size(classifier):
    other = FrozenClassifier.of(RESNET)
    teachers = [
        RISE(classifier),
        RISE(classifier, masks=5),
        RISE(other),
        OptiCAM(classifier),
        OptiCAM(classifier, steps=3),
    ]
    torch.manual_seed(0)
    teachers += [PTAMEPlus(classifier), PTAMEPlus(classifier, refinement_steps=3)]
    torch.manual_seed(1)
    teachers += [PTAMEPlus(classifier), PTAMEPlus(classifier, auxiliary=RESNET)]
    assert len({_identity(one, 56) for one in teachers}) == len(teachers)
    assert _identity(teachers[0], 28) != _identity(teachers[0], 56)
    assert _identity(RISE(classifier, chunk_size=3), 56) == _identity(teachers[0], 56)
