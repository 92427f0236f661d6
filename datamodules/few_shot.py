"""Few-shot episodes: query images, each with support images of its class."""

from collections.abc import Sequence

import torch
from torch.utils.data import Dataset

from datamodules.base import ImageDataModule, Sample
from datamodules.errors import DataError
from datamodules.image_sets import classes_of
from datamodules.samples.checks import check_count, check_seed
from datamodules.samples.seeding import seeded

MOST_OF_A_CLASS = 5_000  # shots, and queries


class Episodes(Dataset[Sample]):
    """Queries of random classes, each with support images of its class as `reference`.

    An episode draws `ways` classes, and of each `shots` supports and `queries` other images. A
    sample is a query with its `label`, the `reference` (shots 3 h w) and the episode as `group`;
    the queries of a class have the same supports. Episode e of a seed is always the same one.

    Args:
        images: the data set that is drawn from.
        labels: the class of each image.
        ways: classes in an episode.
        shots: supports of a class.
        queries: queries of a class.
        episodes: number of episodes.
        seed: another seed, other episodes.

    Raises:
        ValueError: a number is below 1, or too few classes have enough images.
    """

    def __init__(
        self,
        images: Dataset[Sample],
        labels: Sequence[int],
        ways: int,
        shots: int,
        queries: int,
        episodes: int,
        seed: int,
    ) -> None:
        _check(ways, shots, queries, episodes)
        check_seed(seed)
        members: dict[int, list[int]] = {}
        for index, label in enumerate(labels):
            members.setdefault(label, []).append(index)
        self.classes = [one for one in members.values() if len(one) >= shots + queries]
        if len(self.classes) < ways:
            raise DataError(
                f"{ways} ways need as many classes of {shots + queries} images (shots and "
                f"queries), got {len(self.classes)} of {len(members)} classes; lower ways, shots or "
                "queries"
            )
        self.images = images
        self.ways = ways
        self.shots = shots
        self.queries = queries
        self.episodes = episodes
        self.seed = seed

    def __len__(self) -> int:
        return self.episodes * self.ways * self.queries

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        episode, place = divmod(index, self.ways * self.queries)
        way, query = divmod(place, self.queries)
        supports, queries = self.drawn(episode)[way]
        sample = self.images[queries[query]]
        return sample | {
            "key": f"{episode:04d}-{sample['key']}",
            "group": f"{episode:04d}",
            "reference": torch.stack([self.images[support]["image"] for support in supports]),
        }

    def drawn(self, episode: int) -> list[tuple[list[int], list[int]]]:
        """The supports and the queries of each class of an episode, by their places in `images`."""
        generator = seeded(self.seed, episode)
        chosen = torch.randperm(len(self.classes), generator=generator)[: self.ways]
        parts = []
        for number in chosen.tolist():
            members = self.classes[number]
            order = torch.randperm(len(members), generator=generator).tolist()
            taken = [members[place] for place in order[: self.shots + self.queries]]
            parts.append((taken[: self.shots], taken[self.shots :]))
        return parts


class FewShotDataModule(ImageDataModule):
    """`Episodes` for every split: there is nothing to train.

    Args:
        images: a folder with a folder for each class, or shards with `KEY.cls`; by default random
            views of the photographs that come as packages, each of which is a class.
        ways: classes in an episode.
        shots: supports of a class.
        queries: queries of a class.
        episodes: number of episodes.
        size: height and width of the images, in pixels.
        crop_fraction: the share of the resized image's side that is kept.
        scale: of views, the least and greatest share of a photograph that one shows.
        batch_size: samples in a batch.
        num_workers: processes that prepare samples.
        seed: of the episodes and the views.

    Raises:
        FileNotFoundError: a shard is missing, or there is no image in the folder.
        ModuleNotFoundError: a package is missing.
        ValueError: the images have no classes, or there are too few of them.
    """

    def __init__(
        self,
        images: str | list[str] | None = None,
        ways: int = 5,
        shots: int = 5,
        queries: int = 2,
        episodes: int = 10,
        size: int = 224,
        crop_fraction: float = 0.875,
        scale: Sequence[float] = (0.2, 1.0),
        batch_size: int = 10,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers, samples_per_epoch=batch_size)
        _check(ways, shots, queries, episodes)
        source = classes_of(images, shots + queries, size, crop_fraction, scale, seed)
        labels = source.labels
        if labels is None:
            raise DataError(
                f"the images of {images} have no classes; put those of each class into a folder of "
                "its own, or KEY.cls beside each KEY.jpg"
            )
        self.set = Episodes(source, labels, ways, shots, queries, episodes, seed)

    def setup(self, stage: str) -> None:
        """Give every split the same episodes."""
        self.train_set = self.val_set = self.test_set = self.set


def _check(ways: int, shots: int, queries: int, episodes: int) -> None:
    """Refuse numbers below 1, and more of a class than views of an image that there may be."""
    for name, value in (("shots", shots), ("queries", queries)):
        check_count(name, value, most=MOST_OF_A_CLASS)
    for name, value in (("ways", ways), ("episodes", episodes)):
        check_count(name, value)
