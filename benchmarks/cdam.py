"""Cost of CDAM and token ablation in passes of the network: `python benchmarks/cdam.py`.

Weights are random. Times, in the same run, the shortest of several repeats each, in turns:

- cdam: the map of one class, over one pass of a ViT-S/16 of that depth without gradients, on
  images of 224 x 224 pixels;
- classes: the maps of ten classes an image in one call, likewise;
- ablation: token ablation of an image of 128 x 128 pixels on ViT-Ti/16, over as many passes as it
  has patches, in the same chunks.

Prints the ratios and writes them to `cdam.json` beside this file.
"""

import argparse
import json
from pathlib import Path

import timm
import torch
from timing import shortest

from explainers import CDAM, FrozenClassifier, TokenAblation

BATCH = 2
CHUNK_SIZE = 16


def cdam(depth: int, repeats: int) -> dict[str, float]:
    """Ratios of one and of ten maps an image to a pass."""
    classifier = FrozenClassifier(timm.create_model("vit_small_patch16_224", depth=depth))
    explainer = CDAM(classifier)
    images = torch.rand(BATCH, 3, 224, 224)
    labels = torch.arange(BATCH)
    ten = torch.arange(10).expand(BATCH, -1)
    taken = shortest(
        {
            "pass": lambda: no_grad(classifier, images),
            "cdam": lambda: explainer(images, labels),
            "classes": lambda: explainer.scores_of_classes(images, ten),
        },
        repeats,
    )
    return {name: taken[name] / taken["pass"] for name in ("cdam", "classes")}


def ablation(repeats: int) -> float:
    """Ratio of the ablation of an image's patches to as many passes."""
    classifier = FrozenClassifier(timm.create_model("vit_tiny_patch16_224", dynamic_img_size=True))
    explainer = TokenAblation(classifier, chunk_size=CHUNK_SIZE)
    image = torch.rand(1, 3, 128, 128)
    chunk = image.expand(CHUNK_SIZE, -1, -1, -1).contiguous()
    label = torch.tensor([3])

    def passes() -> None:
        for _ in range(64 // CHUNK_SIZE):
            no_grad(classifier, chunk)

    taken = shortest({"passes": passes, "tam": lambda: explainer(image, label)}, repeats)
    return taken["tam"] / taken["passes"]


@torch.no_grad()
def no_grad(classifier: FrozenClassifier, images: torch.Tensor) -> None:
    """One pass."""
    classifier(images)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time CDAM and token ablation against passes")
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 6, 12, 24])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait for each other would count too
    result = {
        "threads": torch.get_num_threads(),
        "cdam_over_pass": {depth: cdam(depth, options.repeats) for depth in options.depths},
        "ablation_over_passes": ablation(options.repeats),
    }
    (Path(__file__).parent / "cdam.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
