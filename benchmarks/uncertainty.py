"""Correlation of maps' uncertainty with faithfulness: `python benchmarks/uncertainty.py`.

Explains foolbox's 20 ImageNet photographs (224 x 224) for EfficientNet-Lite0 by a bundle
(`--checkpoint`), or without one by the untrained P-TAME head that starts as the class activation
map of EfficientNet-Lite2, and prints the rank correlation (Spearman) of each map's uncertainty
with metrics of its faithfulness, with the p-value of 10,000 permutations.
"""

import argparse

import torch
from torch import Tensor

from datamodules import PhotosDataModule
from explainers import PTAME, load_explainer
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard

# The sign of the correlation that means that uncertain maps are worse.
WORSE = {"fidelity": "-", "average_drop": "+", "average_gain": "-"}


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's coefficient of values (n); ties share no rank."""
    ranks = torch.stack([values.argsort().argsort().float() for values in (first, second)])
    return float(torch.corrcoef(ranks)[0, 1])


def p_value(first: Tensor, second: Tensor, permutations: int = 10_000) -> float:
    """Share of shuffled values (n) that correlate as strongly, in either direction."""
    observed = abs(rank_correlation(first, second))
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(first), generator=generator) for _ in range(permutations)]
    stronger = sum(abs(rank_correlation(first[order], second)) >= observed for order in orders)
    return (stronger + 1) / (permutations + 1)


def main() -> None:
    """Explain, score and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", help="a bundle of an explainer of EfficientNet-Lite0")
    arguments = parser.parse_args()
    lite0, lite2 = "package:efficientnet_lite0", "package:efficientnet_lite2"
    explainer = (
        load_explainer(arguments.checkpoint)
        if arguments.checkpoint
        else PTAME(lite0, lite2, cam_start=True).eval()
    )
    data = PhotosDataModule(size=224, batch_size=20, num_workers=0)
    data.setup("test")
    (batch,) = data.test_dataloader()
    images = batch["image"]
    labels = explainer.resolve_target(images, None)
    explanation = explainer.explain(images, labels, uncertainty=True)
    values = Scoreboard(list(WORSE)).update(
        ExplainedBatch(
            images=images,
            labels=labels,
            scores=explanation.scores,
            maps=explanation.maps,
            classifier=explainer.classifier,
            explain=explainer,
        )
    )
    spread = explanation.uncertainties
    area = explanation.maps.mean(dim=(1, 2, 3))
    measures = {"uncertainty": spread, "uncertainty / area": spread / area}
    for measure, uncertainty in measures.items():
        print(f"{measure}: {uncertainty.min():.4f} to {uncertainty.max():.4f}")
        for name, sign in WORSE.items():
            correlation = rank_correlation(uncertainty, values[name])
            chance = p_value(uncertainty, values[name])
            print(f"  {name:14} rho {correlation:+.2f} (worse: {sign})  p {chance:.3f}")


if __name__ == "__main__":
    main()
