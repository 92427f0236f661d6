"""Batches of a data set are read one ahead of the network."""

import threading

import pytest

from explainers.commands.dataset_maps import _read_ahead


def test_next_batch_is_read_while_the_last_one_is_explained():
    read = [threading.Event() for _ in range(3)]

    def batches():
        for event in read:
            event.set()
            yield [event]

    for index, batch in enumerate(_read_ahead(batches())):
        assert batch == [read[index]]
        assert all(event.wait(10) for event in read[: index + 2])
        assert not any(event.is_set() for event in read[index + 2 :])  # one ahead, no more


def test_error_of_reading_ahead_is_raised():
    def batches():
        yield []
        raise OSError("gone")

    ahead = _read_ahead(batches())
    assert next(ahead) == []
    with pytest.raises(OSError, match="gone"):
        next(ahead)
