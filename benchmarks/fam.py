"""Cost of FAM in forward passes of the network: `python benchmarks/fam.py`.

Images are 224 x 224 pixels and weights random. Times, in the same run, the shortest of several
repeats each, in turns: the scores of images for reference embeddings, and one pass without
gradients; and a pair, which shows the map of the reference image too, over two passes.

Prints the ratios and writes them to `fam.json` beside this file.
"""

import argparse
import json
from pathlib import Path

import torch
from timing import shortest

from explainers import FAM, FrozenClassifier, SimilarityGradCAM

BATCH = 4


@torch.no_grad()
def ratios(model: str, repeats: int) -> dict[str, float]:
    """The cost of each method, in passes; of a pair, over two."""
    classifier = FrozenClassifier(model, pretrained=False)
    plain, decomposition = FAM(classifier).eval(), FAM(classifier, "decomposition").eval()
    gradient = SimilarityGradCAM(classifier).eval()
    images = torch.rand(BATCH, 3, 224, 224)
    references = plain.embed(images.flip(0))
    taken = shortest(
        {
            "pass": lambda: classifier(images),
            "fam": lambda: plain(images, references),
            "decomposition": lambda: decomposition(images, references),
            "similarity_grad_cam": lambda: gradient(images, references),
            "pair": lambda: plain.pair(images, images.flip(0)),
        },
        repeats,
    )
    taken["pair"] /= 2
    return {name: seconds / taken["pass"] for name, seconds in taken.items() if name != "pass"}


def main() -> None:
    """Measure and print."""
    models = ["tf_efficientnet_lite0", "vit_tiny_patch16_224"]
    parser = argparse.ArgumentParser(description="time FAM against passes")
    parser.add_argument("--model", nargs="+", default=models)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait for each other would count too
    result = {
        "threads": torch.get_num_threads(),
        "over_a_pass": {model: ratios(model, options.repeats) for model in options.model},
    }
    (Path(__file__).parent / "fam.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
