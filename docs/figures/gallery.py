"""Maps of several methods, side by side: `python docs/figures/gallery.py`, for docs/gallery.md.

Draws foolbox's photographs of ImageNet in the order of their keys, the first `--count` of them, each
for its predicted class; or with `--mosaics` mosaics of them, a row for the class of each cell. Needs
`pip install -e ".[demo,compare]"`; minutes on 2 cores, for Opti-CAM.
"""

import argparse
from pathlib import Path

import torch

import explainers
from datamodules import GridsDataModule, ImageDataModule, PhotosDataModule
from explainers.baselines import CAMBaseline
from explainers.commands.chosen_images import choose_images
from explainers.images.figure import save_figure

SIZE = 224


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20, help="rows")
    parser.add_argument("--methods", nargs="+", help="columns; all by default")
    parser.add_argument("--mosaics", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("docs/figures/gallery.jpg"))
    arguments = parser.parse_args()
    head = explainers.load_explainer("ptame_plus-efficientnet_lite0")
    methods: dict[str, explainers.Explainer] = {
        "PTAMEPlus": head,
        "Grad-CAM": CAMBaseline(head.classifier, "GradCAM"),
        "LayerCAM": CAMBaseline(head.classifier, "LayerCAM"),
        "Opti-CAM": explainers.OptiCAM(head.classifier, preset="paper"),
    }
    side = SIZE // 2 if arguments.mosaics else SIZE
    data: ImageDataModule = PhotosDataModule(size=side, crop_fraction=0.875)
    if arguments.mosaics:
        data = GridsDataModule(data, size=SIZE)
    choose_images(data, head.classifier)
    data.setup("test")
    samples = [data.test_set[index] for index in range(arguments.count)]
    images = torch.stack([one["image"] for one in samples])
    targets = torch.stack([one["target"] for one in samples]) if arguments.mosaics else None
    drawn = {name: methods[name].explain(images, targets) for name in arguments.methods or methods}
    save_figure(explainers.plot(drawn), arguments.output)


if __name__ == "__main__":
    main()
