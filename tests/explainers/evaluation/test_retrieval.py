import pytest
import torch
from torch.utils.data import DataLoader

from explainers.errors import InputError
from explainers.evaluation.retrieval import NearestOthers, match_accuracy, prototypes


def embed(images):
    """The colour of images, as an embedding (b 3)."""
    return images.mean(dim=(2, 3))


def coloured(*colours):
    """Images (n 3 2 2) of one colour each."""
    return torch.tensor(colours).float()[..., None, None].expand(-1, -1, 2, 2)


RED, PINK, ORANGE = (1, 0, 0), (0.9, 0.3, 0.3), (1, 0.4, 0)
BLUE, NAVY = (0, 0, 1), (0, 0, 0.5)
LABELS = [7, 7, 2, 4, 4]


def samples(labels=LABELS):
    images = coloured(RED, PINK, ORANGE, BLUE, NAVY)
    return [
        {"image": image, "key": f"{i}"} | ({"label": torch.tensor(labels[i])} if labels else {})
        for i, image in enumerate(images)
    ]


def test_prototype_is_the_mean_of_the_embeddings():
    references = torch.stack([coloured(RED, BLUE), coloured(RED, RED)])  # (2 2 3 2 2)
    expected = torch.tensor([[0.5, 0, 0.5], [1, 0, 0]])
    torch.testing.assert_close(prototypes(references, embed), expected)
    torch.testing.assert_close(prototypes(references[:, 0], embed), embed(references[:, 0]))


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_nearest_other_image_is_the_reference(batch_size):
    batches = NearestOthers(DataLoader(samples(), batch_size), embed)
    # Cosines: red and pink .905, red and orange .928, pink and orange .952; navy is blue.
    assert batches.nearest == [2, 2, 1, 4, 3]
    for _ in range(2):  # it can be read again
        read = list(batches)
        references = torch.cat([batch["reference"] for batch in read])
        torch.testing.assert_close(references, coloured(ORANGE, ORANGE, PINK, NAVY, BLUE))
        labels = torch.cat([batch["reference_label"] for batch in read])
        assert labels.tolist() == [2, 2, 7, 4, 4]
    accuracy = match_accuracy(batches, embed)
    assert accuracy["accuracy"] == pytest.approx(40)  # blue and navy find each other
    assert accuracy["images"] == 5


def test_gallery_without_labels_has_references_and_no_accuracy():
    batches = NearestOthers(DataLoader(samples(None), 2), embed)
    assert "reference_label" not in next(iter(batches))
    assert match_accuracy(batches, embed) is None


def test_one_image_has_no_nearest_other():
    with pytest.raises(InputError, match="takes two images at least, got 1"):
        NearestOthers(DataLoader(samples()[:1]), embed)


def test_nearest_prototype_is_looked_for_in_the_episode_alone():
    # In episode a, pink is nearest to red (its own) and orange to red (not its own). The same
    # orange as a support in episode b would have been its own.
    queries = coloured(PINK, ORANGE, NAVY, RED)
    references = torch.stack(
        [coloured(RED, RED), coloured(BLUE, PINK), coloured(BLUE, BLUE), coloured(ORANGE, ORANGE)]
    )
    labels = torch.tensor([0, 1, 0, 1])
    batch = {"image": queries, "reference": references, "label": labels, "group": list("aabb")}
    found = match_accuracy([batch], embed)
    assert found["accuracy"] == pytest.approx(75)
    # Episodes are what varies: 50 and 100 %.
    assert found["accuracy_interval"] == [50, 100]
    parts = [
        {name: value[part] for name, value in batch.items()} for part in (slice(3), slice(3, 4))
    ]
    assert match_accuracy(parts, embed) == found


def test_without_groups_all_references_are_looked_at():
    batch = {"image": coloured(RED, PINK, BLUE), "label": torch.arange(3)}
    found = match_accuracy([batch | {"reference": coloured(ORANGE, RED, NAVY)}], embed)
    # Red is nearest to the other view of pink, and pink to that of red (.952 to orange).
    assert found["accuracy"] == pytest.approx(100 / 3)
    assert match_accuracy([batch], embed) is None
