"""A classifier that tells classes apart, and fits of three epochs on six images."""

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from explainers import FrozenClassifier


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=4)
    torch.nn.init.normal_(classifier.model.get_classifier().weight, std=1.0)
    return classifier


@pytest.fixture
def fitted_images():
    """The six images that `fit` trains on, the same in every epoch."""
    return torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def fit(tmp_path, fitted_images):
    """Train an explainer for three epochs of two steps."""

    def run(explainer, *callbacks, epochs=3, folder=tmp_path, **options):
        trainer = Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            default_root_dir=folder,
        )
        trainer.fit(
            explainer,
            DataLoader([{"image": one} for one in fitted_images], batch_size=3),
            **options,
        )
        return trainer

    return run
