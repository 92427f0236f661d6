"""Retrieval: the nearest other image of a data set, and the accuracy of matches."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from explainers.errors import InputError
from explainers.evaluation.records import Row, annotate

Batch = dict[str, Any]
Embed = Callable[[Tensor], Tensor]
"""Maps images (b 3 h w) to embeddings (b d)."""


@torch.no_grad()
def prototypes(references: Tensor, embed: Embed) -> Tensor:
    """The embeddings (b d) of images (b 3 h w), or the means of those of (b k 3 h w)."""
    if references.ndim == 4:
        return embed(references)
    each: Tensor = embed(references.flatten(0, 1)).unflatten(0, references.shape[:2])  # (b k d)
    return each.mean(dim=1)


class NearestOthers:
    """The batches of a loader, each image with the other one of the highest cosine to it.

    That is its `reference`, and `reference_label` what that one's label is, where there are labels.

    Args:
        loader: of a data set that can be read by position, in its order.
        embed: what of the images is compared.

    Raises:
        InputError: there are no two images, or one was left out because it cannot be read.
    """

    def __init__(self, loader: DataLoader[Batch], embed: Embed) -> None:
        self.loader = loader
        with torch.no_grad():
            parts = [embed(batch["image"]).float() for batch in tqdm(loader, desc="gallery")]
        embeddings = F.normalize(torch.cat(parts), dim=1)
        if len(embeddings) < 2:
            raise InputError("the nearest other image takes two images at least, got 1")
        count = len(loader.dataset)  # type: ignore[arg-type]
        if len(embeddings) < count:
            raise InputError(
                f"{count - len(embeddings)} of {count} images cannot be read, and the nearest "
                "other one may be among them; repair these, or take them out of the set"
            )
        self.nearest: list[int] = []
        for part in embeddings.split(1024):  # all cosines at once may not fit into memory
            cosines = part @ embeddings.T
            itself = torch.arange(len(part)) + len(self.nearest)
            cosines[torch.arange(len(part)), itself] = -torch.inf
            self.nearest += cosines.argmax(dim=1).tolist()

    def __iter__(self) -> Iterator[Batch]:
        """Read the batches, and the other images."""
        nearest = iter(self.nearest)
        for batch in self.loader:
            others = [self.loader.dataset[next(nearest)] for _ in batch["image"]]
            added = {"reference": torch.stack([other["image"] for other in others])}
            if "label" in batch:
                added["reference_label"] = torch.stack([other["label"] for other in others])
            yield batch | added

    def __len__(self) -> int:
        return len(self.loader)


def match_accuracy(batches: Iterable[Batch], embed: Embed) -> Row | None:
    """Accuracy of retrieval: the share of images whose nearest reference is of their class.

    Where batches tell a `reference_label`, that of the only reference; otherwise the nearest of all
    references of the image's `group`, of all batches without one.

    Returns:
        `accuracy` in percent, `accuracy_interval` (95 %, over the groups) and `images`; None
        without references or labels.
    """
    queries, references, labels, hits = [], [], [], []
    groups: list[str] = []
    for batch in batches:
        if "reference" not in batch or "label" not in batch:
            return None
        labels.append(batch["label"])
        groups += batch.get("group") or [""] * len(batch["label"])
        if "reference_label" in batch:
            hits.append(batch["label"] == batch["reference_label"])
        else:
            with torch.no_grad():
                queries.append(embed(batch["image"]).float())
            references.append(prototypes(batch["reference"], embed).float())
    if not groups:
        return None
    if references:
        hits = [_hits(torch.cat(queries), torch.cat(references), torch.cat(labels), groups)]
    records: list[Row] = [
        {"accuracy": 100 * float(hit)} | ({"group": group} if group else {})
        for hit, group in zip(torch.cat(hits), groups, strict=True)
    ]
    mean = sum(record["accuracy"] for record in records) / len(records)
    return annotate({"accuracy": mean}, records) | {"images": len(records)}


def _hits(queries: Tensor, references: Tensor, labels: Tensor, groups: list[str]) -> Tensor:
    """Whether the nearest reference (n d) of the group of each query (n d) has its label: (n)."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    number = torch.tensor([numbers[group] for group in groups], device=queries.device)
    cosines = F.normalize(queries, dim=1) @ F.normalize(references, dim=1).T
    cosines[number[:, None] != number] = -torch.inf
    return labels[cosines.argmax(dim=1)] == labels
