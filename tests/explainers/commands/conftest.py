"""Inputs of the commands: photographs, folders of them, a bundle, and configs."""

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image

from explainers import PTAME, FrozenClassifier
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.commands.compare import build_comparison
from explainers.commands.comparison_config import ComparisonParser, config_of
from explainers.commands.options.compare import add_arguments

RANDOM = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


@pytest.fixture
def rotated(tmp_path):
    """A JPEG that its EXIF data turns by 90 degrees, and a PNG of the same pixels upright."""
    folder = tmp_path / "rotated"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = image.getexif()
    exif[0x112] = 6  # the camera was turned: rotate clockwise to see it upright
    image.save(folder / "rotated.jpg", exif=exif)
    with Image.open(folder / "rotated.jpg") as file:
        upright = Image.fromarray(np.rot90(np.asarray(file), -1).copy())
    upright.save(folder / "upright.png")
    return folder / "rotated.jpg", folder / "upright.png"


@pytest.fixture
def built():
    """The comparison that the config in a folder describes, whose results go there too."""

    def build(folder):
        parser = ComparisonParser(prog="explainers compare")
        add_arguments(parser)
        words = ["--config", str(folder / "config.yaml"), "--output", str(folder)]
        return build_comparison(config_of(parser.parse_args(words)), [], folder)

    return build


@pytest.fixture(scope="session")
def comparison():
    """Config of a small comparison, as a mapping that tests do not change."""
    return {
        "classifier": RANDOM,
        "data": {
            "class_path": "datamodules.ShapesDataModule",
            "init_args": {"length": 2, "size": 32, "batch_size": 2},
        },
        "methods": {"am": {"class_path": "explainers.ActivationMap"}},
        "metrics": ["average_drop"],
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory, comparison):
    """A folder of a bundle, an image, a folder of images, and a config; tests do not change it."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    state = FrozenClassifier.of(RANDOM).model.state_dict()
    torch.save(state, folder / "weights.pth")
    source = {"model": "test_resnet", "weights": str(folder / "weights.pth")}
    save_bundle(PTAME(source, source), folder / "bundle", {}, [], None)
    (folder / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "images/photo.jpg")
    model = {"class_path": "explainers.ActivationMap", "init_args": {"classifier": RANDOM}}
    (folder / "untrained.yaml").write_text(yaml.safe_dump({"model": model}))
    (folder / "compare.yaml").write_text(yaml.safe_dump(comparison))
    return folder


@pytest.fixture(scope="session")
def refused():
    """Run a command that exits with 2, and return its one line on stderr."""

    def run(capsys, *arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        assert code == 2, printed
        (line,) = printed.err.splitlines()
        assert line.startswith("error: ")
        assert "Errno" not in line
        return line

    return run


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config of a method without training, on the same random weights in every run."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("config")
    torch.save(timm.create_model("test_resnet", num_classes=4).state_dict(), folder / "w.pth")
    path = folder / "config.yaml"
    path.write_text(
        "model:\n  class_path: explainers.OptiCAM\n  init_args:\n    steps: 1\n"
        f"    classifier: {{model: test_resnet, num_classes: 4, weights: {folder / 'w.pth'}}}\n"
    )
    return path


@pytest.fixture
def folder(tmp_path):
    """Five photographs of different sizes, in two folders."""
    for index in range(5):
        path = tmp_path / "photos" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(index)
        pixels = noise.integers(0, 255, (20 + index, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "photos"
