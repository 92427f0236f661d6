"""Unreadable samples: left out of batches or replaced, counted, and reported by key.

Errors of a worker process travel to the main one with the batch, under `unreadable`.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset, default_collate

from datamodules.errors import DataError, DuplicateKeyError, UnreadableError

Sample = dict[str, Any]
FAR = 2**40  # items ahead in a stream, more than any training reads
MOST_ATTEMPTS = 1000  # to replace a sample: enough if one in a hundred can be read
DUPLICATE = "duplicate"  # where a sample says that another of its shard has its key

logger = logging.getLogger(__name__)


class UnreadableSamples:
    """Counts unreadable samples, each once, and names them in the log.

    Args:
        max_bad: the most that there may be.
    """

    def __init__(self, max_bad: int) -> None:
        self.max_bad = max_bad
        self.found: dict[tuple[str, str], str] = {}
        self.warned = False

    def add(self, failures: Sequence[DataError]) -> None:
        """Count the failures of a batch, and warn of the first duplicate key.

        Raises:
            DataError: it was more than a sample, or one too many.
        """
        for failure in failures:
            if not isinstance(failure, UnreadableError):
                raise failure
            if isinstance(failure, DuplicateKeyError):
                if not self.warned:
                    logger.warning("%s", failure)
                self.warned = True
                continue
            name = (failure.source, failure.key)
            if name in self.found:
                continue
            self.found[name] = failure.reason
            count = len(self.found)
            logger.warning("left out, number %d: %s", count, failure)
            if count > self.max_bad:
                raise DataError(
                    f"{count} samples cannot be read, and max_bad is {self.max_bad}; the last is "
                    f"{failure}; repair the data (python -m datamodules.pack --check finds what is "
                    "wrong with shards), or raise max_bad"
                )


class SkipUnreadable(Dataset[Sample]):
    """Samples for evaluation, unreadable ones left out; a batch may be empty.

    Args:
        split: the samples.
        indices: of the samples; with none, there is one empty batch.
        unreadable: the count of unreadable samples.
    """

    def __init__(
        self, split: Dataset[Sample], indices: Sequence[int], unreadable: UnreadableSamples
    ) -> None:
        self.split = split
        self.indices = indices
        self.unreadable = unreadable

    def __len__(self) -> int:
        # Lightning skips a process without batches, and the others would wait for it.
        return max(1, len(self.indices))

    def __getitem__(self, place: int) -> Sample:
        """A sample; a batch of them is `__getitems__`."""
        return self.split[self.indices[place]]

    def __getitems__(self, places: list[int]) -> Sample:
        """A batch."""
        samples = []
        failures: list[DataError] = []
        for place in places[: len(self.indices)]:
            try:
                samples.append(self[place])
            except UnreadableError as error:
                failures.append(error)
            except DataError as error:  # stops the run, so the others need no reading
                return _batch([], [*failures, error])
        if samples or len(failures) > self.unreadable.max_bad:
            return _batch(samples, failures)
        return _batch(self._example(failures), failures, slice(0))

    def _example(self, failures: list[DataError]) -> list[Sample]:
        """A sample that can be read, for the shape of an empty batch; a failure if none can."""
        count = len(self.split)  # type: ignore[arg-type]
        last = None
        for index in range(count):
            try:
                return [self.split[index]]
            except UnreadableError as error:
                last = error
            except DataError as error:
                failures.append(error)
                return []
        failures.append(
            DataError(
                f"none of the {count} samples of this split can be read, so there is nothing to "
                f"evaluate; {f'the last: {last}' if last else 'name a split that has samples'}"
            )
        )
        return []


class ReplaceUnreadable(Dataset[Sample]):
    """Stream for training in which another sample takes the place of an unreadable one.

    The other one depends on the item alone: every rank takes the same number of steps, and a
    fit that is resumed sees what an uninterrupted one does.

    Args:
        stream: without an end.
        unreadable: the count of unreadable samples.
    """

    def __init__(self, stream: Dataset[Sample], unreadable: UnreadableSamples) -> None:
        self.stream = stream
        self.unreadable = unreadable

    def __getitems__(self, items: list[int]) -> Sample:
        """A batch."""
        failures: list[DataError] = []
        samples: list[Sample] = []
        for item in items:
            if (sample := self._sample(item, failures)) is None:  # stops the run
                return _batch([], failures)
            samples.append(sample)
        return _batch(samples, failures)

    def _sample(self, item: int, failures: list[DataError]) -> Sample | None:
        attempts = min(self.unreadable.max_bad + 2, MOST_ATTEMPTS)
        for attempt in range(attempts):
            try:
                return self.stream[item + attempt * FAR]
            except UnreadableError as error:
                failures.append(error)
            except DataError as error:
                failures.append(error)
                return None
        failures.append(
            DataError(f"none of {attempts} samples can be read; the last: {failures[-1]}")
        )
        return None


def _batch(samples: list[Sample], failures: list[DataError], kept: slice = slice(None)) -> Sample:
    batch: Sample = {}
    failures += [sample.pop(DUPLICATE) for sample in samples if DUPLICATE in sample]
    for sample in samples[1:]:
        if differing := sorted(sample.keys() ^ samples[0].keys()):
            names = f"{samples[0].get('key')!r} and {sample.get('key')!r}"
            failures.append(
                DataError(
                    f"of the samples {names} only one has a {differing[0]}; give it to all samples "
                    "of a split, or to none"
                )
            )
            return {"unreadable": failures}
    if samples:
        batch = {name: value[kept] for name, value in default_collate(samples).items()}
    return batch | {"unreadable": failures}


class CountingLoader(DataLoader[Sample]):
    """Loader that takes the failures out of its batches and has them counted.

    Raises:
        DataError: as `UnreadableSamples.add`, from the loop over the batches.
    """

    def __iter__(self) -> Iterator[Sample]:  # type: ignore[override]
        """Give batches."""
        for batch in super().__iter__():
            if failures := batch.pop("unreadable", ()):
                self.dataset.unreadable.add(failures)  # type: ignore[attr-defined]
            yield batch
