"""A folder that looks like a checkout, of tiny networks and few images.

The configs there are those of the project with other networks and data, the bundles hold heads of
these, not trained, and the images are noise.
"""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from webdataset import TarWriter

import explainers
import train
from datamodules import pack
from explainers.bundle.saving import save_bundle
from explainers.evaluation.evaluator import CONFIDENCE_METRICS

ROOT = Path(__file__).parents[2]


def tiny_network(source):
    """A small network of the kind that `source` names, with the same weights in every command."""
    name = source["model"] if isinstance(source, dict) else source
    if name.startswith("test_"):
        return source
    if name.startswith("open_clip:"):
        return source | {"model": "open_clip:local-dir:clip"}
    model = "test_vit" if re.search("vit|deit", name) else "test_resnet"
    return {"model": model, "weights": f"{model}.pth"}


def tiny_data(class_path):
    """Two images of noise in the place of a data set; pairs stay pairs."""
    sizes = {"size": 160, "batch_size": 2}
    if class_path.endswith("PairsDataModule"):
        return {"class_path": class_path, "init_args": {"test": "pairs.tar"} | sizes}
    length = {"length": 2, "samples_per_epoch": 4}
    return {"class_path": "datamodules.ShapesDataModule", "init_args": length | sizes}


def tiny(config):
    """A config of train.py or of a comparison that takes seconds."""
    settings = config.get("model", {}).get("init_args", config)
    for part in {"classifier", "auxiliary"} & settings.keys():
        settings[part] = tiny_network(settings[part])
    if config.get("model", {}).get("class_path") == "explainers.OptiCAM":
        settings["steps"] = 2
    config["data"] = tiny_data(config["data"]["class_path"])
    if "trainer" in config:
        for name in ("precision", "strategy"):
            config["trainer"].pop(name, None)
        config["trainer"] |= {"max_epochs": 1, "accelerator": "cpu", "devices": 1}
    if "methods" in config:
        config["methods"] = dict(list(config["methods"].items())[:2])
        for method in config["methods"].values():
            if "auxiliary" in method.get("init_args", {}):
                method["init_args"]["auxiliary"] = tiny_network(method["init_args"]["auxiliary"])
        config["metrics"] = config["metrics"][:2]
        config["panel_images"] = 1
    return config


def write_clip(folder):
    """A tiny CLIP network, as open_clip keeps them."""
    library = pytest.importorskip("open_clip", reason="needs the extra clip")
    folder.mkdir()
    vision = {"image_size": 160, "layers": 3, "width": 64, "patch_size": 16, "head_width": 32}
    text = {"context_length": 16, "width": 32, "heads": 2, "layers": 1}
    config = {"model_cfg": {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    model = library.create_model(f"local-dir:{folder}", load_weights=False)
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")


def write_images(folder):
    """The images that commands name, and folders and shards of some."""
    noise = np.random.default_rng(0)

    def write(*names):
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = noise.integers(0, 255, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)

    write("photo.jpg", "a.jpg", "b.jpg", "Q.jpg", "R.jpg", "photos/1.jpg", "photos/2.jpg")
    write(*(f"imagenet/{split}/{name}/0.jpg" for split in ("train", "val") for name in "xy"))
    mask = np.tile(np.arange(80) < 30, (60, 1)).astype(np.uint8) * 255
    with TarWriter(str(folder / "pairs.tar")) as tar:
        image, first, second = noise.integers(0, 255, (3, 60, 80, 3), dtype=np.uint8)
        masks = {"mask_a.png": mask, "mask_b.png": 255 - mask}
        tar.write({"__key__": "x", "jpg": image, "ref_a.jpg": first, "ref_b.jpg": second} | masks)
    (folder / "data").mkdir()
    for name, more in (("photos-train", {}), ("objects", {"mask.png": mask})):
        with TarWriter(str(folder / f"data/{name}-0.tar")) as tar:
            tar.write({"__key__": "x", "jpg": first} | more)
            tar.write({"__key__": "y", "jpg": second} | more)


def write_bundle(config):
    """The bundle that a fit of a config would write, but for the training."""
    described = yaml.safe_load(Path("configs", config).read_text())
    row = {"explainer": "ptameplus"} | dict.fromkeys(CONFIDENCE_METRICS, 12.5)
    kind = getattr(explainers, described["model"]["class_path"].rpartition(".")[2])
    explainer = kind(**described["model"]["init_args"])
    return save_bundle(explainer, described["bundle"], {"steps": 0}, [row], torch.rand(3, 8, 8))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with the configs, bundles, images and shards that the commands name."""
    folder = tmp_path_factory.mktemp("template")
    torch.manual_seed(0)
    for model in ("test_resnet", "test_vit"):
        torch.save(timm.create_model(model).state_dict(), folder / f"{model}.pth")
    (folder / "configs").mkdir()
    for path in (ROOT / "configs").glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        config = config if path.name.startswith("league_") else tiny(config)
        (folder / "configs" / path.name).write_text(yaml.safe_dump(config, sort_keys=False))
    for scripts in ("benchmarks", "docs/figures"):
        no_pictures = shutil.ignore_patterns("*.jpg", "*.svg")
        shutil.copytree(ROOT / scripts, folder / scripts, ignore=no_pictures)
    write_images(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_bundle("ptame_plus_efficientnet_lite0.yaml")
        write_bundle("your_folder.yaml")
        write_clip(folder / "clip")
        write_bundle("texts.yaml")
        write_bundle("shapley_efficientnet_lite0.yaml")
        shutil.copytree(write_bundle("demo.yaml"), "BUNDLE")
        pack.main(["--images", "imagenet/val", "--output", "shards", "--workers", "1"])
    return folder


@pytest.fixture(scope="module")
def checkpoint(template):
    """A checkpoint in the middle of an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(template)
        patch.setattr("sys.argv", ["train.py"])
        fit = train.main(["fit", "--config=configs/demo.yaml", "--trainer.max_steps=1"])
        fit.trainer.save_checkpoint("PATH")
    return template / "PATH"


@pytest.fixture
def checkout(template, tmp_path, monkeypatch):
    """A folder of its own for each command."""
    shutil.copytree(template, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
