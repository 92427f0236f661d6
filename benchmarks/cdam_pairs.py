"""CDAM on images of two objects: `python benchmarks/cdam_pairs.py`.

Draws two discs of different textures, of five, on noise, trains a small vision transformer to name
both, and explains both on new images. It is trained in two ways:

- last block fine-tuned: all of it learns to name each patch, and then the last block and the head
  to name both textures. The class token reads them in the last attention, as in large networks;
- end to end: so small a network then decides in its first blocks, before the attention that CDAM
  reads. Its accuracy with the patches hidden from the last attention shows the difference.

Prints tables with 95 % bootstrap intervals over the images, and writes them to `cdam_pairs.json`
beside this file:

- own: percent of the explained textures whose disc gets more positive attribution than the other;
- tam: mean Pearson correlation of the patches' scores with those of token ablation;
- sparse: mean percent of the patches under 5 % of the largest.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from explainers import (
    CDAM,
    AttentionMap,
    Explainer,
    FrozenClassifier,
    IntegratedCDAM,
    RelevancePropagation,
    SmoothCDAM,
    TokenAblation,
)
from explainers.evaluation.bootstrap import bootstrap_interval
from explainers.metrics.compactness import compactness
from explainers.metrics.parts.map_similarity import pearson

SIZE, PATCH, RADIUS = 64, 8, 12
DIRECTIONS = ((0.0, 1.0), (1.0, 0.0), (0.7, 0.7), (0.7, -0.7))  # of stripes; the fifth is a grid
CLASSES = len(DIRECTIONS) + 1


def scenes(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw images (n 3 h w) with two discs, their different textures (n 2), and masks (n 2 h w)."""
    grid = torch.arange(SIZE, dtype=torch.float32)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    first = torch.randint(CLASSES, (count,), generator=generator)
    other = (first + torch.randint(1, CLASSES, (count,), generator=generator)) % CLASSES
    labels = torch.stack([first, other], dim=1)
    angle, reach = 2 * torch.pi * uniform(1), 14 + 5 * uniform(1)
    offset = reach * torch.cat([angle.sin(), angle.cos()], dim=1)  # (n 2), far enough from 0
    coarse = F.interpolate(uniform(3, 4, 4), (SIZE, SIZE), mode="bilinear")
    images = 0.4 * coarse + 0.3 * uniform(3, SIZE, SIZE) + 0.15
    masks = []
    for index, centre in enumerate((SIZE / 2 + offset, SIZE / 2 - offset)):
        y = grid[:, None] - centre[:, 0, None, None]
        x = grid[None] - centre[:, 1, None, None]  # (n h w) together with y
        mask = y.square() + x.square() < RADIUS**2
        period, phase = 4 + 3 * uniform(1, 1), 2 * torch.pi * uniform(2, 1, 1)
        waves = [
            torch.sin(2 * torch.pi * (dy * y + dx * x) / period + phase[:, 0])
            for dy, dx in DIRECTIONS
        ]
        waves.append(waves[0] * torch.sin(2 * torch.pi * y / period + phase[:, 1]))
        texture = torch.stack(waves, dim=1)[torch.arange(count), labels[:, index]]
        colour = uniform(3, 1, 1)
        mixed = torch.lerp(colour, (colour + 0.5) % 1, 0.5 + 0.5 * texture[:, None])
        images = torch.where(mask[:, None], mixed, images)
        masks.append(mask)
    return images, labels, torch.stack(masks, dim=1)


def train(steps: int, depth: int, seed: int, end_to_end: bool) -> FrozenClassifier:
    """Train a small vision transformer to name both textures of images with two discs."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = VisionTransformer(
        img_size=SIZE, patch_size=PATCH, embed_dim=64, depth=depth, num_heads=4, num_classes=CLASSES
    )

    def name_both(images: Tensor, labels: Tensor, masks: Tensor) -> Tensor:
        shares = F.one_hot(labels, CLASSES).float().mean(dim=1)
        return F.cross_entropy(model(images), shares)

    if end_to_end:
        _fit(list(model.parameters()), name_both, 2 * steps, generator)
    else:
        patch_head = torch.nn.Linear(64, CLASSES + 1)

        def name_patches(images: Tensor, labels: Tensor, masks: Tensor) -> Tensor:
            covered = F.avg_pool2d(masks.float(), PATCH)  # (n 2 rows columns)
            shares = torch.einsum("ndyx,ndc->ncyx", covered, F.one_hot(labels, CLASSES).float())
            shares = torch.cat([shares, 1 - shares.sum(dim=1, keepdim=True)], dim=1).flatten(2)
            patches = patch_head(model.forward_features(images)[:, 1:])
            return F.cross_entropy(patches.transpose(1, 2), shares)

        _fit([*model.parameters(), *patch_head.parameters()], name_patches, steps, generator)
        last = [model.blocks[-1], model.norm, model.head]
        weights = [weight for part in last for weight in part.parameters()]
        _fit(weights, name_both, steps, generator)
    return FrozenClassifier(model, mean=[0.5] * 3, std=[0.5] * 3, size=(SIZE, SIZE))


def _fit(
    weights: list[torch.nn.Parameter],
    objective: Callable[[Tensor, Tensor, Tensor], Tensor],
    steps: int,
    generator: torch.Generator,
) -> None:
    """Lower an objective of images in [-1, 1], labels and masks by changing some weights."""
    optimizer = torch.optim.AdamW(weights, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        images, labels, masks = scenes(32, generator)
        loss = objective(2 * images - 1, labels, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}: {loss.item():.3f}", flush=True)


def token_scores(method: Explainer, images: Tensor, labels: Tensor) -> Tensor:
    """Scores of the patches (m 1 rows columns) for the textures (n 2) of images (n 3 h w)."""
    scores = [
        method(image, label)
        for image, label in zip(
            images.repeat_interleave(2, dim=0).split(50), labels.flatten().split(50), strict=True
        )
    ]
    return F.avg_pool2d(torch.cat(scores), PATCH)


def figures(scores: Tensor, ablated: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """The columns of the table, a value (n) an image.

    Args:
        scores: of the patches, for both textures of each image (2n 1 rows columns).
        ablated: those of token ablation, likewise.
        masks: (n 2 h w).
    """
    positive = F.interpolate(scores.clamp(min=0), scale_factor=PATCH).unflatten(0, (-1, 2))
    energy = (positive * masks[:, None]).sum(dim=(3, 4))  # (n texture disc)
    own = energy.diagonal(dim1=1, dim2=2)
    other = energy.flip(2).diagonal(dim1=1, dim2=2)
    return {
        "own": 100 * (own > other).float().mean(dim=1),
        "tam": pearson(scores, ablated).unflatten(0, (-1, 2)).mean(dim=1),
        "sparse": compactness(scores).unflatten(0, (-1, 2)).mean(dim=1),
    }


def methods(classifier: FrozenClassifier) -> Mapping[str, Explainer]:
    """The compared methods, by the names of their rows."""
    return {
        "token ablation": TokenAblation(classifier),
        "CDAM": CDAM(classifier),
        "smooth CDAM": SmoothCDAM(classifier),
        "integrated CDAM": IntegratedCDAM(classifier),
        "integrated CDAM, pre-norm": IntegratedCDAM(classifier, path="pre_norm"),
        "relevance propagation": RelevancePropagation(classifier),
        "attention map": AttentionMap(classifier),
    }


def explain(steps: int, depth: int, images: int, seed: int, end_to_end: bool) -> dict[str, Any]:
    """Train a network, explain both textures of each of new images, and print a table."""
    classifier = train(steps, depth, seed, end_to_end)
    pairs, labels, masks = scenes(images, torch.Generator().manual_seed(10_000))
    last = CDAM(classifier).transformer.last_block(pairs)
    normed = last.normed(last.inputs)
    blind = torch.cat([normed[:, :1], torch.zeros_like(normed[:, 1:])], dim=1)
    result: dict[str, Any] = {}
    for name, read in (("both_named", normed), ("both_named_before_the_last_attention", blind)):
        with torch.no_grad():
            logits = classifier.model.forward_head(last.read(read, last.inputs))
        named = logits.topk(2, dim=1).indices.sort(dim=1).values == labels.sort(dim=1).values
        result[name] = 100 * named.all(dim=1).float().mean().item()
        print(f"{name}: {result[name]:.1f} %")
    rows = {
        name: token_scores(method, pairs, labels) for name, method in methods(classifier).items()
    }
    for name, scores in rows.items():
        columns = figures(scores, rows["token ablation"], masks)
        result[name] = {
            column: [values.nanmean().item(), *bootstrap_interval(values)]
            for column, values in columns.items()
        }
        cells = [f"{mean:.2f} [{low:.2f}, {high:.2f}]" for mean, low, high in result[name].values()]
        print(f"{name:26}" + "".join(f"{cell:>25}" for cell in cells), flush=True)
    return result


def main() -> None:
    """Train both ways, explain and write the figures."""
    parser = argparse.ArgumentParser(description="Does CDAM find the object of a class?")
    parser.add_argument("--steps", type=int, default=300, help="in each half of the training")
    parser.add_argument("--depth", type=int, default=3, help="blocks of the transformer")
    parser.add_argument("--images", type=int, default=200, help="to explain")
    parser.add_argument("--seed", type=int, default=0, help="of the network and its training")
    settings = vars(parser.parse_args())
    result: dict[str, Any] = {"settings": settings}
    for name, end_to_end in (("last block fine-tuned", False), ("end to end", True)):
        print(f"\n{name}")
        result[name] = explain(**settings, end_to_end=end_to_end)
    (Path(__file__).parent / "cdam_pairs.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
