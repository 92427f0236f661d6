from collections import Counter
from importlib.util import find_spec

import pytest
import torch

from datamodules import FewShotDataModule
from datamodules.few_shot import Episodes

LABELS = [label for label in range(6) for _ in range(label + 2)]  # 2, 3, … 7 images of a class


class Numbers(torch.utils.data.Dataset):
    """Images (3 2 2) of their own number."""

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, index):
        image = torch.full((3, 2, 2), float(index))
        return {"image": image, "label": torch.tensor(LABELS[index]), "key": f"image{index}"}


def episodes(seed=0, **options):
    numbers = {"ways": 3, "shots": 2, "queries": 2, "episodes": 5} | options
    return Episodes(Numbers(), LABELS, **numbers, seed=seed)


def numbers(samples):
    """Which images these are: the query, and its supports."""
    return [
        (int(sample["image"][0, 0, 0]), sample["reference"][:, 0, 0, 0].int().tolist())
        for sample in samples
    ]


def test_episode_is_ways_by_shots_by_queries():
    drawn = episodes()
    assert len(drawn) == 5 * 3 * 2
    for episode in range(5):
        samples = [drawn[6 * episode + place] for place in range(6)]
        assert {sample["group"] for sample in samples} == {f"{episode:04d}"}
        counts = Counter(int(sample["label"]) for sample in samples)
        assert list(counts.values()) == [2, 2, 2]  # three classes, two queries each
        assert min(counts) >= 2  # classes of 2 and 3 images are too small
        supports = {}
        for sample, (query, others) in zip(samples, numbers(samples), strict=True):
            assert sample["reference"].shape == (2, 3, 2, 2)
            label = int(sample["label"])
            assert {LABELS[index] for index in (query, *others)} == {label}
            assert supports.setdefault(label, others) == others  # the queries of a class share them
            assert query not in others
            assert len(set(others)) == 2
        queries = [query for query, _ in numbers(samples)]
        assert len(set(queries)) == 6


def test_sample_of_a_seed_is_always_the_same():
    forwards = numbers(episodes()[index] for index in range(30))
    backwards = numbers(episodes()[index] for index in reversed(range(30)))
    assert forwards == backwards[::-1]
    assert forwards != numbers(episodes(seed=1)[index] for index in range(30))
    assert forwards[:6] != forwards[6:12]
    # Fewer episodes are the first of more.
    assert forwards[:12] == numbers(episodes(episodes=2)[index] for index in range(12))
    with pytest.raises(IndexError):
        episodes()[30]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ways": 5}, r"5 ways need as many classes of 4 images .*, got 4 of 6 classes"),
        ({"shots": 6}, r"3 ways need as many classes of 8 images .*, got 0 of 6 classes"),
        ({"queries": 0}, "queries must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        episodes(**options)


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("foolbox", "skimage")),
    reason="needs the packages of the extra demo",
)
def test_photographs_of_packages_are_classes_of_views():
    data = FewShotDataModule(ways=3, shots=2, queries=1, episodes=2, size=16, batch_size=4)
    data.setup("test")
    first, second = data.test_dataloader()
    assert first["image"].shape == (4, 3, 16, 16)
    assert first["reference"].shape == (4, 2, 3, 16, 16)
    assert first["group"] + second["group"] == ["0000"] * 3 + ["0001"] * 3
    assert len(set(first["label"][:3].tolist())) == 3
    assert not torch.equal(first["image"][0], first["reference"][0, 0])


def test_images_without_classes_are_refused(tmp_path):
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    with pytest.raises(ValueError, match=r"have no classes; put those of each class into a folder"):
        FewShotDataModule(str(tmp_path))
