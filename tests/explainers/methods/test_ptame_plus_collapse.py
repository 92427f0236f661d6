"""PTAMEPlus on a small folder: its defaults do not collapse where finer maps do."""

import pytest
import timm
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer, seed_everything
from torch.utils.data import Dataset

from datamodules.base import ImageDataModule
from explainers import FrozenClassifier, PTAMEPlus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Lightning warns about its own dependencies
]

SIDE = 96
CONFIDENCE_AND_AREA = {
    "confidence_weight": 1.0,
    "classification_weight": 0.0,
    "area_weight": 0.5,
    "area_budget": 0.0,
    "threshold_weight": 0.0,
    "mosaics": 0,
    "lr": 1e-3,
}
COLOURS = torch.tensor([[0.9, 0.15, 0.15], [0.15, 0.7, 0.2], [0.2, 0.3, 0.9]])[..., None, None]


def scene(seed):
    """A square or a disc of one of three colours on a plain ground: an image of six classes."""
    generator = torch.Generator().manual_seed(seed)

    def draw(most):
        return int(torch.randint(most, (), generator=generator))

    label = draw(6)
    image = torch.rand(3, 1, 1, generator=generator) / 2 + 0.25
    image = image + 0.05 * torch.randn(3, SIDE, SIDE, generator=generator)
    side = SIDE * 3 // 10 + draw(SIDE * 3 // 10)
    top, left = draw(SIDE - side), draw(SIDE - side)
    steps = (torch.arange(side) - side / 2).square()
    shape = (steps[:, None] + steps < side**2 / 4) | (label < 3)
    part = image[:, top : top + side, left : left + side]
    part.copy_(torch.where(shape, COLOURS[label % 3], part))
    return image.clamp(0, 1), label


class Scenes(Dataset):
    def __init__(self, first, count):
        self.first, self.count = first, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        image, label = scene(self.first + index % self.count)
        return {"image": image, "label": torch.tensor(label), "key": str(index)}


class ScenesDataModule(ImageDataModule):
    """A folder of so many images, gone through as often as it takes; 96 others to validate on."""

    def setup(self, stage):
        self.train_set = Scenes(10**6, self.samples_per_epoch)
        self.val_set = self.test_set = Scenes(2 * 10**6, 96)


def batch_of(first, count):
    images, labels = zip(*(scene(first + index) for index in range(count)), strict=True)
    return torch.stack(images), torch.tensor(labels)


@pytest.fixture(scope="module")
def classifier():
    """A network that is right on more than 95 % of the scenes."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=6).train()
    optimizer = torch.optim.AdamW(network.parameters(), 6e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=200)
    for step in range(200):
        images, labels = batch_of(32 * step, 32)
        optimizer.zero_grad()
        F.cross_entropy(network((images - 0.5) / 0.25), labels).backward()
        optimizer.step()
        schedule.step()
    found = FrozenClassifier(network, mean=[0.5] * 3, std=[0.25] * 3, size=[SIDE, SIDE])
    images, labels = batch_of(10**5, 96)
    assert (found(images).argmax(dim=1) == labels).float().mean() > 0.95
    return found


def shares_after(explainer, images):
    """Shares of empty and full maps after four epochs of batches of twelve."""
    data = ScenesDataModule(batch_size=12, num_workers=0, samples_per_epoch=images)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=4, accelerator="cpu", enable_checkpointing=False, **quiet)
    trainer.fit(explainer, datamodule=data)
    (found,) = trainer.validate(explainer, datamodule=data, verbose=False)
    return found["val/empty_share"], found["val/full_share"]


@pytest.mark.parametrize(("images", "seed"), [(100, 0), (100, 1), (100, 2), (240, 0)])
def test_defaults_do_not_collapse_on_a_hundred_images(classifier, images, seed):
    seed_everything(seed, verbose=False)
    assert shares_after(PTAMEPlus(classifier), images) == (0, 0)


def test_finer_maps_collapse_there_and_the_validation_says_so(classifier, caplog):
    seed_everything(0, verbose=False)
    explainer = PTAMEPlus(classifier, evidence_width=0, stages=None, **CONFIDENCE_AND_AREA)
    empty, full = shares_after(explainer, 240)
    assert max(empty, full) > 0.25
    assert "they have collapsed" in caplog.text
