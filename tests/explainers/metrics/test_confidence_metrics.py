"""Average drop, increase and gain, which take the same two probabilities."""

import pytest
import torch
import torch.multiprocessing

from explainers.metrics import AverageDrop, AverageGain, AverageIncrease

METRICS = [AverageDrop, AverageIncrease, AverageGain]
BEFORE = torch.tensor([0.8, 0.5, 0.6])
AFTER = torch.tensor([0.2, 0.5, 0.7])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        # The first image loses 0.6 of its 0.8, the others nothing: (75 % + 0 + 0) / 3.
        (AverageDrop, 25.0),
        # Only the last one rises; equality is no increase.
        (AverageIncrease, 100 / 3),
        # The last gains 0.1 of the missing 0.4: (0 + 0 + 25 %) / 3.
        (AverageGain, 25 / 3),
    ],
)
def test_known_value(metric, expected):
    metric = metric()
    metric.update(BEFORE, AFTER)
    assert metric.compute() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_certain_and_impossible_classes_give_numbers(metric):
    metric = metric()
    metric.update(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]))
    assert metric.compute() == 0


@pytest.mark.parametrize("metric", METRICS)
def test_batches_of_unequal_length_weigh_by_image(metric):
    before, after = torch.rand(5) + 0.1, torch.rand(5)
    whole, parts = metric(), metric()
    whole.update(before, after)
    parts.update(before[:4], after[:4])
    parts.update(before[4:], after[4:])
    assert parts.compute() == whole.compute()


def _score_part(rank, folder, before, after, split):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    scores = []
    for metric in METRICS:
        accumulator = metric()
        part = slice(0, split) if rank == 0 else slice(split, None)
        if len(before[part]):
            accumulator.update(before[part], after[part])
        scores.append(accumulator.compute())
    torch.save(torch.stack(scores), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("split", [20, 21], ids=["uneven", "one without images"])
@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_two_processes_give_the_figures_of_one(tmp_path, split):
    before, after = torch.rand(21) + 0.1, torch.rand(21)
    expected = []
    for metric in METRICS:
        accumulator = metric()
        accumulator.update(before, after)
        expected.append(accumulator.compute())
    torch.multiprocessing.start_processes(
        _score_part, (tmp_path, before, after, split), nprocs=2, start_method="fork"
    )
    for rank in range(2):
        actual = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(actual, torch.stack(expected), rtol=1e-6, atol=0)
