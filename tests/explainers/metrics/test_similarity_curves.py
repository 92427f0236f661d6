"""Insertion and deletion of a similarity, by the scoreboard, on an embedding done by hand."""

from itertools import pairwise

import pytest
import torch

from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard
from explainers.metrics.deletion import Deleted
from explainers.metrics.insertion import Inserted, blur

NAMES = ["similarity_insertion", "similarity_deletion"]


def sides(images):
    """Embed images by the brightness of their left and right half: (b 2)."""
    return images.mean(dim=1).unflatten(2, (2, -1)).mean(dim=(1, 3))


def scored(images, maps, references, *parts, shapes=None):
    """The values of the images and the figures, of batches that are parts of them."""
    board = Scoreboard(NAMES, chunk_size=3)
    for name, need in (shapes or {}).items():
        board.metrics[name].needs = (need,)
    values = [
        board.update(
            ExplainedBatch(
                images[part], references[part], maps[part], maps[part], sides,
                lambda images, references: images[:, :1], embed=sides,
            )
        )
        for part in parts or [slice(None)]
    ]  # fmt: skip
    return {name: torch.cat([one[name] for one in values]) for name in NAMES}, board.compute()


def steps_of(step, sigma=5.0):
    """What the two metrics show, with another step than for 224 pixels."""
    return {NAMES[0]: Inserted(step, sigma), NAMES[1]: Deleted(step)}


def test_known_areas():
    # One white row of four pixels, two in each half; the reference is the left half alone. A wide
    # Gaussian makes the start of the insertion even: its cosine is 1 / sqrt(2), as at the end.
    images = torch.ones(1, 3, 1, 4)
    references = torch.tensor([[1.0, 0.0]])
    maps = torch.tensor([4.0, 3, 2, 1]).view(1, 1, 1, 4)
    values, _ = scored(images, maps, references, shapes=steps_of(1))
    # Blurred white is white, so nothing changes as pixels come in.
    assert values["similarity_insertion"].item() == pytest.approx(100 / 2**0.5)
    # (left, right) while the pixels go: (2, 2), (1, 2), (0, 2), (0, 1), (0, 0), with the cosines
    # .70711, .44721, 0, 0 and 0 for nothing: (.70711 / 2 + .44721) / 4 = .20019.
    assert values["similarity_deletion"].item() == pytest.approx(20.019, rel=1e-4)


def test_agree_with_pixels_set_one_by_one():
    images, maps, references = torch.rand(2, 3, 6, 8), torch.rand(2, 1, 6, 8), torch.rand(2, 2)
    values, figures = scored(images, maps, references, shapes=steps_of(12, 50.0))
    expected = {name: [] for name in NAMES}
    for image, scores, reference in zip(images, maps.flatten(1), references, strict=True):
        ranked = sorted(range(48), key=lambda pixel: (-scores[pixel].item(), pixel))
        starts = (blur(image[None], 50.0)[0], image), (image, torch.zeros_like(image))
        for name, (start, end) in zip(NAMES, starts, strict=True):
            shown, curve = start.clone(), []
            for place in range(49):
                if place:
                    row, column = divmod(ranked[place - 1], 8)
                    shown[:, row, column] = end[:, row, column]
                if place % 12 == 0:
                    left, right = (shown[..., :4].mean().item(), shown[..., 4:].mean().item())
                    length = (left**2 + right**2) ** 0.5 * reference.norm().item()
                    product = left * reference[0].item() + right * reference[1].item()
                    curve.append(product / length if length else 0.0)
            expected[name].append(100 * sum((a + b) / 2 / 4 for a, b in pairwise(curve)))
    for name in NAMES:
        assert values[name].tolist() == pytest.approx(expected[name], rel=1e-4)
        assert figures[name] == pytest.approx(sum(expected[name]) / 2, rel=1e-4)


def test_uneven_batches_give_the_figure_of_one():
    images, maps, references = torch.rand(5, 3, 6, 8), torch.rand(5, 1, 6, 8), torch.rand(5, 2)
    _, whole = scored(images, maps, references)
    _, parts = scored(images, maps, references, slice(0, 4), slice(4, 5))
    assert parts == pytest.approx(whole)
