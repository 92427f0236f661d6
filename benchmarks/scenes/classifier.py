"""A classifier of drawn scenes, which benchmarks/league.py explains.

Trains a small ResNet with feature maps of 8 x 8 for images of 64 pixels to tell which of the 15
classes of `datamodules.ScenesDataModule` a scene shows, several at once (a sigmoid each). Writes a
folder in timm's format, for `local-dir:FOLDER` with `activation: sigmoid`, and `accuracy.json`: the
share of held-out scenes of which all classes are right, and of classes of scenes.
"""

import json
import time
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from scenes.folders import folder_of
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from datamodules.samples.drawn_objects import CLASSES
from datamodules.scenes import Scenes

ARCHITECTURE = "resnet10t"
OPTIONS: dict[str, Any] = {"channels": [32, 64, 96, 128], "stem_width": 16, "output_stride": 8}
MEAN, STD = [0.5] * 3, [0.25] * 3
SIZE = 64
OBJECTS = (1, 3)
SEED = 9_999  # of scenes that no split has


def trained(output: Path, images: int = 12_000, epochs: int = 8, batch: int = 64) -> Path:
    """The classifier's folder; it is trained unless it is there. Deterministic but for rounding."""
    settings = [images, epochs, batch, ARCHITECTURE, OPTIONS, MEAN, STD, SIZE, OBJECTS, SEED]
    folder = folder_of(output, "classifier", settings)
    if (folder / "accuracy.json").is_file():
        return folder
    started = time.perf_counter()
    torch.manual_seed(0)
    model = timm.create_model(ARCHITECTURE, num_classes=len(CLASSES), **OPTIONS)
    pixels, classes = drawn(images, SEED)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.02)
    steps = epochs * (images // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    order = torch.Generator().manual_seed(0)
    progress = tqdm(total=steps, desc="classifier", unit="step")
    for _ in range(epochs):
        for chosen in torch.randperm(images, generator=order).split(batch)[: images // batch]:
            shown = prepared(pixels[chosen])
            if torch.rand((), generator=order) < 0.5:
                shown = shown.flip(-1)
            loss = F.binary_cross_entropy_with_logits(model(shown), classes[chosen].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.update()
            progress.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
    progress.close()
    scores = accuracy(model.eval(), max(batch, images // 20))
    save(model, folder)
    scores |= {"images": images, "epochs": epochs, "seconds": time.perf_counter() - started}
    (folder / "accuracy.json").write_text(json.dumps(scores, indent=2) + "\n")
    return folder


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Scenes (b 3 h w), uint8, and the classes that they show (b classes) bool."""
    scenes = Scenes(count, SIZE, OBJECTS, seed)
    loader = DataLoader(scenes, batch_size=100, num_workers=2)
    pixels, classes = [], []
    for part in tqdm(loader, desc="drawing", unit="batch"):
        pixels.append((255 * part["image"]).round().to(torch.uint8))
        classes.append(part["classes"])
    return torch.cat(pixels), torch.cat(classes)


def prepared(pixels: Tensor) -> Tensor:
    """Normalise images (b 3 h w), uint8."""
    return (pixels.float() / 255 - MEAN[0]) / STD[0]


@torch.no_grad()
def accuracy(model: nn.Module, count: int) -> dict[str, float]:
    """Shares, in percent, of held-out scenes and classes that the model gets right."""
    pixels, classes = drawn(count, SEED + 1)
    said = torch.cat([model(prepared(part)) for part in pixels.split(100)]) > 0
    right = said == classes
    return {
        "scenes_right": 100 * float(right.all(dim=1).float().mean()),
        "classes_right": 100 * float(right.float().mean()),
        "shown_found": 100 * float(said[classes].float().mean()),
    }


def save(model: nn.Module, folder: Path) -> None:
    """Write a folder in timm's format."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    described: dict[str, Any] = {
        "architecture": ARCHITECTURE,
        "num_classes": len(CLASSES),
        "label_names": CLASSES,
        "model_args": OPTIONS,
        "pretrained_cfg": {
            "num_classes": len(CLASSES),
            "input_size": [3, SIZE, SIZE],
            "fixed_input_size": False,
            "mean": MEAN,
            "std": STD,
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "first_conv": "conv1.0",
            "classifier": "fc",
        },
    }
    (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n")
