"""Whether CDAM finds the object of a class beside another one: `python benchmarks/cdam_pairs.py`.

Draws two discs of different textures, of five, on noise, trains a small vision transformer to name
both, and explains both on new images. Prints a table with 95 % bootstrap intervals over the images, and writes it
to `cdam_pairs.json` beside this file:

- own: percent of the explained textures whose disc gets more positive energy than the other one;
- tam: mean Pearson correlation of the patches' scores with those of token ablation;
- sparse: mean percent of the patches under 5 % of the largest.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

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
from explainers.intervals import bootstrap_interval
from explainers.metrics.compactness import compactness
from explainers.metrics.similarity import pearson

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


def train(steps: int, depth: int, seed: int) -> FrozenClassifier:
    """Train a small vision transformer to name both textures of images with two discs."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = VisionTransformer(
        img_size=SIZE, patch_size=PATCH, embed_dim=64, depth=depth, num_heads=4, num_classes=CLASSES
    )
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for step in range(steps):
        images, labels, _ = scenes(32, generator)
        loss = F.cross_entropy(
            model(2 * images - 1), F.one_hot(labels, CLASSES).float().mean(dim=1)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: cross entropy {loss.item():.3f}", flush=True)
    return FrozenClassifier(model, mean=[0.5] * 3, std=[0.5] * 3, size=(SIZE, SIZE))


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
    """What each of the columns is for each image (n).

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
    """What is compared, by the name of its row."""
    return {
        "token ablation": TokenAblation(classifier),
        "CDAM": CDAM(classifier),
        "smooth CDAM": SmoothCDAM(classifier),
        "integrated CDAM": IntegratedCDAM(classifier),
        "integrated CDAM, pre-norm": IntegratedCDAM(classifier, path="pre_norm"),
        "relevance propagation": RelevancePropagation(classifier),
        "attention map": AttentionMap(classifier),
    }


def main() -> None:
    """Train, explain and print."""
    parser = argparse.ArgumentParser(description="Does CDAM find the object of a class?")
    parser.add_argument("--steps", type=int, default=1000, help="of training, 32 images each")
    parser.add_argument("--images", type=int, default=200, help="with two discs, explained")
    parser.add_argument("--depth", type=int, default=2, help="blocks of the transformer")
    parser.add_argument("--seed", type=int, default=0, help="of the network and its training")
    arguments = parser.parse_args()
    classifier = train(arguments.steps, arguments.depth, arguments.seed)
    generator = torch.Generator().manual_seed(10_000)
    pairs, labels, masks = scenes(arguments.images, generator)
    with torch.no_grad():
        top = classifier(pairs).topk(2, dim=1).indices.sort(dim=1).values
    both = (top == labels.sort(dim=1).values).all(dim=1).float().mean().item()
    print(f"both textures on top in {100 * both:.1f} % of the images")
    result: dict[str, object] = {"both_on_top": both} | vars(arguments)
    rows = {
        name: token_scores(method, pairs, labels) for name, method in methods(classifier).items()
    }
    for name, scores in rows.items():
        row = figures(scores, rows["token ablation"], masks)
        result[name] = {
            column: [values.nanmean().item(), *bootstrap_interval(values)]
            for column, values in row.items()
        }
        cells = [f"{v:6.2f} [{low:.2f}, {high:.2f}]" for v, low, high in result[name].values()]  # type: ignore[attr-defined]
        print(f"{name:26}  " + "  ".join(f"{cell:24}" for cell in cells))
    (Path(__file__).parent / "cdam_pairs.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
