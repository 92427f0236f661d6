"""What the tests of train.py share: networks."""

import pytest
import torch

from explainers import PTAME


@pytest.fixture
def networks(tmp_path):
    """Options that give classifier and auxiliary the same random weights in every process."""
    options = []
    for part in ("classifier", "auxiliary"):
        torch.manual_seed(len(part))
        source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
        path = tmp_path / f"{part}.pth"
        torch.save(PTAME(source, source).classifier.model.state_dict(), path)
        options.append(f"--model.init_args.{part}={{model: test_resnet, weights: {path}}}")
    return options
