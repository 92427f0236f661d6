import pytest
import torch

from explainers.metrics import SimilarityKept
from explainers.metrics.similarity_kept import similarity_kept


def sides(images):
    """Embed images by the brightness of their left and right half: (b 2)."""
    return images.mean(dim=1).unflatten(2, (2, -1)).mean(dim=(1, 3))


def test_known_values():
    images = torch.ones(3, 3, 2, 4)
    references = torch.tensor([[1.0, 0.0]]).expand(3, 2)
    left = torch.tensor([1.0, 1, 0, 0]).expand(1, 1, 2, 4)
    maps = torch.cat([left, 1 - left, left.new_full((1, 1, 2, 4), torch.nan)])
    kept = similarity_kept(images, maps, references, sides, 50)
    # The whole image has a cosine of 1 / sqrt(2) to the left, the left half alone of 1.
    assert kept[0].item() == pytest.approx(100 * 2**0.5)
    assert kept[1] == 0
    assert kept[2].isnan()


def test_all_pixels_keep_everything_and_batches_do_not_matter():
    images, maps, references = torch.rand(5, 3, 4, 8), torch.rand(5, 1, 4, 8), torch.rand(5, 2)
    all_of_it = similarity_kept(images, maps, references, sides, 100)
    torch.testing.assert_close(all_of_it, torch.full((5,), 100.0))
    whole, parts = SimilarityKept(), SimilarityKept()
    whole.update(images, maps, references, sides)
    for part in (slice(0, 4), slice(4, 5)):
        parts.update(images[part], maps[part], references[part], sides)
    torch.testing.assert_close(whole.compute(), parts.compute())
