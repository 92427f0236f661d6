from itertools import chain

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningDataModule

from datamodules import GridsDataModule, ImageDataModule
from datamodules.errors import DataError, UnreadableError
from datamodules.grids import Mosaics
from datamodules.known_images import surely_known

CLASSES = 10


class Grey(torch.utils.data.Dataset):
    """Images (3 8 8) of one grey each, the number of the image / 100; two of each class."""

    def __init__(self, labelled=True, unreadable=()):
        self.labelled = labelled
        self.unreadable = unreadable

    def __len__(self):
        return 2 * CLASSES

    def __getitem__(self, index):
        if index in self.unreadable:
            raise UnreadableError("grey", f"image{index}", "is broken")
        sample = {"image": torch.full((3, 8, 8), index / 100), "key": f"image{index}"}
        return sample | ({"label": torch.tensor(index // 2)} if self.labelled else {})


class GreyDataModule(ImageDataModule):
    """`Grey` as test split."""

    def __init__(self, labelled=True, unreadable=(), max_bad=3):
        super().__init__(5, 0, 5, max_bad)
        self.grey = Grey(labelled, unreadable)

    def setup(self, stage):
        self.test_set = self.grey


def numbers(images):
    """Which image a grey is of, in the middle of each quarter."""
    return [round(100 * float(value)) for value in images]


def probabilities(confidence):
    """A classifier that names the image's class with a confidence by image, the rest for the last class."""

    def answer(images):
        places = numbers(images[:, 0, 0, 0])
        answers = torch.zeros(len(images), CLASSES)
        for row, place in enumerate(places):
            answers[row, place // 2] = confidence[place]
            answers[row, -1] += 1 - confidence[place]
        return answers

    return answer


def all_sure(images):
    return probabilities([1.0] * 2 * CLASSES)(images)


def grids(classifier=all_sure, data=None, **options):
    settings = {"length": 5, "size": 12, "batch_size": 3} | options
    module = GridsDataModule(data or GreyDataModule(), **settings)
    module.choose(classifier)
    module.setup("test")
    return module


def batches(module):
    loaded = list(module.test_dataloader())
    parts = {name: [batch[name] for batch in loaded] for name in loaded[0]}
    return {
        name: torch.cat(values) if torch.is_tensor(values[0]) else list(chain(*values))
        for name, values in parts.items()
    }


@pytest.mark.parametrize("side", [2, 3])
def test_each_cell_of_a_mosaic_is_asked_for_once(side):
    found = batches(grids(side=side))
    cells, pixels = side**2, 12 // side
    assert len(found["key"]) == 5 * cells
    assert found["key"][cells - 1 : cells + 1] == [f"0000-{cells - 1}", "0001-0"]
    assert found["group"] == [f"{mosaic:04d}" for mosaic in range(5) for _ in range(cells)]
    assert found["image"].shape == (5 * cells, 3, 12, 12)
    assert found["image"].dtype == torch.float32
    assert found["mask"].dtype == torch.bool
    assert found["label"].dtype == torch.int64
    assert torch.equal(found["label"], found["target"])
    for mosaic in range(5):
        part = slice(cells * mosaic, cells * (mosaic + 1))
        masks, labels = found["mask"][part], found["label"][part].tolist()
        assert torch.equal(masks.sum(dim=0), torch.ones(1, 12, 12, dtype=torch.int64))
        assert len(set(labels)) == cells  # each cell is of another class
        for image, mask, label in zip(found["image"][part], masks, labels, strict=True):
            assert mask.sum() == pixels**2
            (grey,) = set(numbers(image[:, mask[0]].flatten()))  # one image fills the cell
            assert grey // 2 == label
        assert (found["image"][part] == found["image"][part.start]).all()


def test_mosaic_is_that_of_a_slow_reference():
    images = torch.rand(CLASSES, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    samples = [{"image": image} for image in images]
    mosaics = Mosaics(samples, {label: [label] for label in range(CLASSES)}, 3, 2, 27, seed=0)
    for index in range(18):
        expected = torch.empty(3, 27, 27)
        for cell, (label, position) in enumerate(mosaics.drawn(index // 9)):
            assert label == position
            for row in range(9):
                for column in range(9):
                    place = (9 * (cell // 3) + row, 9 * (cell % 3) + column)
                    expected[:, *place] = images[position, :, row, column]
        assert torch.equal(mosaics[index]["image"], expected)


def test_images_are_resized_to_their_cells():
    image = torch.rand(3, 8, 8)
    mosaics = Mosaics([{"image": image}] * 4, {label: [label] for label in range(4)}, 2, 1, 8, 0)
    small = F.interpolate(image[None], (4, 4), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(mosaics[0]["image"], small.repeat(1, 2, 2))


def test_mosaics_of_a_seed_are_the_same_whatever_the_workers_and_batches():
    expected = batches(grids())
    for options in ({"num_workers": 2}, {"batch_size": 8}):
        found = batches(grids(**options))
        assert found["key"] == expected["key"]
        for name in ("image", "mask", "label"):
            assert torch.equal(found[name], expected[name])
    other = batches(grids(seed=1))
    assert not torch.equal(other["image"], expected["image"])
    fewer = batches(grids(length=2))  # are the first of more
    assert torch.equal(fewer["image"], expected["image"][:8])
    backwards = grids().mosaics
    assert torch.equal(backwards[19]["image"], expected["image"][19])
    assert torch.equal(backwards[0]["image"], expected["image"][0])
    with pytest.raises(IndexError):
        backwards[20]


def used_images(module):
    return {place for places in module.mosaics.members.values() for place in places}


def test_only_images_that_the_classifier_is_sure_of_are_used():
    confidence = [1.0, 0.9, 0.5, 0.49, 0.7, 0.2, 0.6, 0.6, 1.0, 0.0] + [0.0] * 10
    module = grids(probabilities(confidence), length=40)
    # Images 3, 5 and 9 are not known, 0.5 is just enough, and 18 and 19 are of the last class.
    assert used_images(module) == {0, 1, 2, 4, 6, 7, 8, 18, 19}
    assert module.protocol == {
        "target": "the class of one cell of the mosaic",
        "images": "9 of 20 images, of 6 classes, are known surely (probability of at least 0.5)",
        "chance": {"grid_pointing": 25.0, "pointing": 25.0},
    }
    shown = numbers(batches(module)["image"][:, 0, ::6, ::6].flatten())
    assert set(shown) == used_images(module)
    # Of a higher threshold, fewer; and those at any confidence are still the predicted ones.
    assert used_images(grids(probabilities(confidence), sure=0.7)) == {0, 1, 4, 8, 18, 19}
    assert 3 not in used_images(grids(probabilities(confidence), sure=0.0))


def test_prediction_stands_for_labels_that_are_not_known():
    confidence = [1.0, 0.9, 0.5, 0.4, 0.7, 0.2, 0.6, 0.6] + [0.0] * 12
    module = grids(probabilities(confidence), GreyDataModule(labelled=False))
    assert module.mosaics.members == {
        0: [0, 1],
        1: [2],
        2: [4],
        3: [6, 7],
        9: [3, 5, *range(8, 20)],
    }


def test_surely_known_by_hand():
    answers = torch.tensor([[0.6, 0.4], [0.3, 0.7], [0.5, 0.5]])
    predicted, known = surely_known(answers, torch.tensor([0, 0, 0]), 0.55)
    assert predicted.tolist() == [0, 1, 0]
    assert known.tolist() == [True, False, False]
    assert surely_known(answers, None, 0.55)[1].tolist() == [True, True, False]


def test_unreadable_images_are_left_out_and_counted():
    data = GreyDataModule(unreadable=(1, 5, 6, 7))
    with pytest.raises(DataError, match="4 samples cannot be read, and max_bad is 3"):
        grids(data=data)
    module = grids(data=GreyDataModule(unreadable=(1, 5, 7)))
    assert used_images(module) == set(range(20)) - {1, 5, 7}
    assert module.protocol["images"].startswith("17 of 17 images, of 10 classes")


def test_too_few_classes_are_refused_with_what_there_is():
    few = probabilities([1.0] * 3 + [0.4] * 17)  # 0.6 for the last class
    message = (
        r"a mosaic of 2 x 2 cells needs images of at least 4 classes, got 3; lower side or name "
        r"images of more classes, or lower sure: 5 of 20 images, of 3 classes, are known surely "
        r"\(probability of at least 0.7\)"
    )
    unlabelled = GreyDataModule(labelled=False)
    with pytest.raises(DataError, match=message):
        grids(few, unlabelled, sure=0.7)
    with pytest.raises(DataError, match="3 x 3 cells needs images of at least 9 classes, got 3"):
        grids(few, unlabelled, side=3, sure=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 1}, "side must be at least 2, got 1"),
        ({"side": 9}, "side must be at most 8, got 9"),
        ({"size": 11}, "size must be divisible by side, 2, got 11; 10 is"),
        ({"side": 3, "size": 2}, "size must be divisible by side, 3, got 2; 3 is"),
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"sure": 1.5}, r"sure must be a probability in \[0, 1\], got 1.5"),
        ({"sure": float("nan")}, r"sure must be a probability in \[0, 1\], got nan"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        GridsDataModule(GreyDataModule(), **options)


def test_mosaics_before_a_classifier_was_asked_are_refused():
    with pytest.raises(DataError, match=r"call choose\(probabilities\) before setup"):
        GridsDataModule(GreyDataModule()).setup("test")


def test_settings_of_the_inner_data_are_part_of_the_state():
    module = grids()
    assert isinstance(module, LightningDataModule)
    settings = module.state_dict()["settings"]["data"]
    assert settings["data set"] == "GreyDataModule"
    assert settings["max_bad"] == 3
