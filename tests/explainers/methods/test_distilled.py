"""Distillation: what a teacher says is asked once, kept, and learned."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from explainers import Distilled, FrozenClassifier, OptiCAM, load_explainer
from explainers.bundle import save_bundle
from explainers.callbacks import FeatureCache
from explainers.errors import InputError
from explainers.images.normalisation import min_max
from explainers.methods.distilled import largest, mosaics_of, squared_error

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
TEACHER = {"class_path": "explainers.OptiCAM", "init_args": {"steps": 2}}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A network of random weights in a file, so that bundles find them again."""
    torch.manual_seed(0)
    model = FrozenClassifier.of(SOURCE).model
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(model.state_dict(), path)
    return FrozenClassifier.of({"model": "test_resnet", "weights": str(path)})


@pytest.fixture
def student(classifier, tmp_path):
    return Distilled(classifier, TEACHER, teacher_maps=str(tmp_path / "maps"), teacher_size=16)


@pytest.fixture
def images():
    return torch.rand(3, 3, 64, 64)


def forward_passes(network):
    """Sizes of the batches that a network is shown from now on."""
    shown = []
    network.register_forward_hook(lambda module, given, output: shown.append(len(output)))
    return shown


def fit(explainer, images, folder, steps=4, callbacks=()):
    batches = DataLoader([{"image": image} for image in images], batch_size=len(images))
    trainer = lightning.Trainer(
        max_epochs=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=list(callbacks),
    )
    trainer.fit(explainer, batches)


def test_teacher_is_asked_for_the_likeliest_classes_and_scaled(student, classifier, images):
    classes, maps = student.taught(images)
    assert torch.equal(classes[:, 0], classifier(images).argmax(dim=1))
    expected = min_max(OptiCAM(classifier, steps=2)(images, classes[:, 0]))
    expected = torch.nn.functional.interpolate(expected, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(maps, expected, atol=1e-3, rtol=0)  # kept in half precision


def test_what_was_said_is_found_again_also_by_another_fit(student, classifier, images, tmp_path):
    first = student.taught(images)
    other = Distilled(classifier, TEACHER, teacher_maps=str(tmp_path / "maps"), teacher_size=16)
    shown = forward_passes(classifier.model)
    for given, again in zip(first, other.taught(images.flip(0)), strict=True):
        torch.testing.assert_close(again.flip(0), given)
    assert not shown
    other.taught(torch.rand(1, 3, 64, 64))
    assert shown


def test_other_teachers_and_classes_have_files_of_their_own(student, classifier, images, tmp_path):
    folder = str(tmp_path / "maps")
    student.taught(images)
    more = Distilled(classifier, TEACHER, teacher_maps=folder, classes_per_image=2)
    classes, maps = more.taught(images)
    assert classes.shape == (3, 2)
    assert maps.shape == (3, 2, 56, 56)
    assert len(list((tmp_path / "maps").iterdir())) == 2


def test_damaged_files_are_asked_for_again(student, images, tmp_path):
    expected = student.taught(images)
    for path in (tmp_path / "maps").glob("*/*"):
        path.write_bytes(path.read_bytes()[:50])
    for given, again in zip(expected, student.taught(images), strict=True):
        torch.testing.assert_close(again, given)


def test_full_folder_asks_the_teacher_each_time(classifier, images, tmp_path, caplog):
    student = Distilled(
        classifier, TEACHER, teacher_maps=str(tmp_path), teacher_limit=1e-9, teacher_size=16
    )
    expected = student.taught(images)
    assert "the store of teacher's maps is full" in caplog.text
    shown = forward_passes(classifier.model)
    torch.testing.assert_close(student.taught(images)[1], expected[1])
    assert shown


def test_sign_of_a_teacher_is_kept(classifier, images, tmp_path):
    teacher = {"class_path": "explainers.OptiCAM", "init_args": {"steps": 1}}
    student = Distilled(classifier, teacher, scale="signed", teacher_maps=str(tmp_path))
    student._asked = student._teacher()
    scores = torch.linspace(-1, 2, 64 * 64).view(1, 1, 64, 64).repeat(3, 1, 1, 1)
    student._asked[0].forward = lambda images, target: scores
    _, maps = student.taught(images)
    assert maps.min() == pytest.approx(0.25, abs=0.01)  # -1 of 2, halved, from a half on
    assert maps.max() == pytest.approx(1.0, abs=0.01)
    answered = student(images)
    assert student.signed
    assert answered.min() < 0 < answered.max()


def test_largest_size_of_scores():
    scores = torch.tensor([[0.5, -2.0], [0.0, 0.0]]).view(2, 1, 1, 2)
    assert largest(scores).flatten().tolist() == [2.0, 1.0]


def test_error_by_hand():
    masks, taught = torch.full((1, 1, 4, 4), 0.5), torch.zeros(1, 1, 2, 2)
    taught[..., 0] = 1.0  # each place misses by a half
    assert squared_error(masks, taught) == 0.25


def test_mosaics_hold_images_of_the_batch_at_half_their_size():
    images = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 10, 12)
    mosaics = mosaics_of(images, 5, seed=1)
    assert mosaics.shape == (5, 3, 10, 12)
    for mosaic in mosaics:
        for cell in (mosaic[:, :5, :6], mosaic[:, :5, 6:], mosaic[:, 5:, :6], mosaic[:, 5:, 6:]):
            assert cell.unique().numel() == 1
    assert torch.equal(mosaics, mosaics_of(images, 5, seed=1))
    assert not torch.equal(mosaics, mosaics_of(images, 5, seed=2))
    assert len(mosaics_of(images, 0, seed=1)) == 0


@pytest.mark.filterwarnings("default")
def test_a_fit_comes_closer_to_the_teacher_and_a_bundle_needs_none(student, images, tmp_path):
    _, taught = student.taught(images)
    before = student.losses(
        images,
        None,
        student.network.draw(student.network.read(images), student.taught(images)[0]),
        None,
    )["distillation"].item()
    student.lr = 1e-2
    fit(student, images, tmp_path, steps=20)
    labels = student.taught(images)[0]
    masks = student.network.draw(student.network.read(images), labels)
    assert squared_error(masks, taught) < 0.9 * before
    bundle = save_bundle(student, tmp_path / "bundle", {}, [], None)
    loaded = load_explainer(bundle)
    torch.testing.assert_close(loaded(images), student(images))
    assert loaded._asked is None


@pytest.mark.filterwarnings("default")
def test_second_epoch_needs_no_pass_of_the_classifier(classifier, images, tmp_path):
    student = Distilled(
        classifier, TEACHER, auxiliary=dict(SOURCE), teacher_maps=str(tmp_path / "maps"), mosaics=0
    )
    fit(student, images, tmp_path, steps=1)
    shown = forward_passes(classifier.model)
    fit(student, images, tmp_path, steps=2)
    assert not shown
    own = Distilled(classifier, TEACHER, teacher_maps=str(tmp_path / "maps"))
    fit(own, images, tmp_path, 1, [FeatureCache(str(tmp_path / "features"))])
    reads = []
    own.read = lambda images: reads.append(len(images)) or pytest.fail("read again")
    fit(own, images, tmp_path, 1, [FeatureCache(str(tmp_path / "features"))])
    assert not reads


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "log"}, "scale"),
        ({"classes_per_image": 5}, "classes_per_image must be"),
        ({"mosaics": -1}, "mosaics must be"),
        ({"decoder_width": 12}, "decoder_width must be a multiple of 8, got 12"),
        ({"teacher_limit": 0}, "teacher_limit must be"),
    ],
)
def test_bad_settings_are_refused(classifier, options, message):
    with pytest.raises(InputError, match=message):
        Distilled(classifier, TEACHER, **options)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (None, "Distilled learns from a teacher; name one"),
        ({"class_path": "explainers.OptiCAN"}, "OptiCAM"),
        ({"class_path": "explainers.OptiCAM", "init_args": {"step": 1}}, "unexpected.*step"),
        ({"class_path": "os.path"}, "must be a class of explainers"),
    ],
)
def test_wrong_teacher_is_one_line(classifier, images, teacher, message):
    with pytest.raises(InputError, match=message):
        Distilled(classifier, teacher).taught(images)
