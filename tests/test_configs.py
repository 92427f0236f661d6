"""The configs of train.py are accepted, and their published settings train."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from webdataset import TarWriter

from explainers.metrics import CHOICES
from explainers.training.losses import published_variation_factor
from train import main

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    path
    for path in (ROOT / "configs").glob("*.yaml")
    if not path.name.startswith(("compare_", "league_"))
)

pytestmark = [
    pytest.mark.usefixtures("no_command_line"),
    # Lightning warns about few workers, few log steps and its own dependencies.
    pytest.mark.filterwarnings("default"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_accepted(config, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", f"--config={config}", "--print_config"])
    assert stop.value.code == 0
    assert "class_path" in capsys.readouterr().out


PUBLISHED = {
    "lcam_vgg16": (64, 8, {"lr": 1e-2, "bias_lr_factor": 2.0, "lr_decay_per_epoch": 0.75}),
    "lcam_resnet50": (64, 26, {"lr": 1e-4, "bias_lr_factor": 2.0, "lr_decay_per_epoch": 0.95}),
    "tame_vgg16": (32, 8, {"lr": 1e-3, "bias_lr_factor": 2.0}),
    "tame_resnet50": (32, 4, {"lr": 1e-4, "bias_lr_factor": 2.0}),
    "ttame_resnet50": (32, 8, {"lr": 1e-3, "bias_lr_factor": 1.0}),
    "ttame_vit_base": (32, 8, {"lr": 1e-3, "bias_lr_factor": 1.0, "tokens": "norm1"}),
}
"""By config: batch size, epochs, and what sets its optimiser apart."""
PERCENT = ("", "_50", "_15")
SIDES = {"lcam_vgg16": 14, "lcam_resnet50": 7, "ttame_vit_base": 14}


@pytest.mark.parametrize("name", PUBLISHED)
def test_configs_of_heads_on_own_features_hold_the_published_settings(name):
    config = yaml.safe_load((ROOT / f"configs/{name}_imagenet.yaml").read_text())
    batch, epochs, settings = PUBLISHED[name]
    side = SIDES.get(name, 28)
    settings |= {
        "classification_weight": 1.5,
        "area_weight": 2.0,
        "area_power": 0.3,
        "variation_weight": 0.01 * published_variation_factor(batch, side, side),
        "variation_border": 0.3,
        "variation_corners_twice": True,
        "weight_decay": 5e-4,
        "normalisation": "minmax",
    }
    given = config["model"]["init_args"]
    assert given == settings | {"classifier": given["classifier"]}
    assert config["data"]["init_args"]["batch_size"] == batch
    assert config["trainer"]["max_epochs"] == epochs


@pytest.mark.parametrize(
    "config", sorted((ROOT / "configs").glob("*tame_*imagenet*.yaml")), ids=lambda path: path.stem
)
def test_configs_for_imagenet_test_the_published_map_by_metrics_there_are(config):
    described = yaml.safe_load(config.read_text())
    assert described["model"]["init_args"]["normalisation"] == "minmax"
    shares = {
        f"average_{kind}{share}" for kind in ("drop", "increase", "gain") for share in PERCENT
    }
    expected = shares | {"insertion", "deletion", "road_morf", "road_lerf"}
    assert set(described["metrics"]) == expected <= CHOICES.keys()


@pytest.fixture
def shards(tmp_path):
    """Options that put a shard of three noisy photographs in ImageNet's place."""
    noise = np.random.default_rng(0)
    with TarWriter(str(tmp_path / "noise.tar")) as tar:
        for index in range(3):
            pixels = noise.integers(0, 255, (240, 300, 3), dtype=np.uint8)
            tar.write({"__key__": f"{index}", "jpg": Image.fromarray(pixels), "cls": index})
    return [
        *(f"--data.init_args.{split}={tmp_path}/noise.tar" for split in ("train", "val", "test")),
        "--data.init_args.batch_size=2",
        "--data.init_args.num_workers=0",
        "--trainer.precision=32-true",  # bf16 is emulated on many CPUs
        "--metrics=[average_drop, average_gain]",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "classifier", "auxiliary"),
    [
        ("ptame_resnet50", "resnet50", "resnet18"),
        ("ptame_resnet50_vit", "resnet50", "deit_tiny_patch16_224"),
        ("ptame_vgg16_efficientnet", "resnet18", "efficientnet_b0"),
        ("tame_resnet50", "resnet50", None),
        ("ttame_resnet50", "resnet50", None),
        ("ttame_vit_base", "deit_tiny_patch16_224", None),
        ("lcam_resnet50", "resnet50", None),
    ],
)
def test_published_settings_train_a_step_on_shards(name, classifier, auxiliary, shards, capsys):
    networks = [f"--model.init_args.classifier={{model: {classifier}, pretrained: false}}"]
    if auxiliary:
        networks.append(f"--model.init_args.auxiliary={{model: {auxiliary}, pretrained: false}}")
    config = ROOT / f"configs/{name}_imagenet.yaml"
    cli = main(["fit", f"--config={config}", "--trainer.fast_dev_run=1", *shards, *networks])
    assert f"| {name.partition('_')[0].replace('ttame', 'tame')}" in capsys.readouterr().out
    assert cli.model.trained_state().keys() >= {"network.head.fuser.weight"}
    assert all(value.isfinite().all() for value in cli.model.trained_state().values())


@pytest.mark.slow
@pytest.mark.skipif(find_spec("foolbox") is None, reason="needs the packages of the extra demo")
def test_demo_config_trains_a_step_on_real_photographs(capsys):
    main(["fit", f"--config={ROOT / 'configs/demo.yaml'}", "--trainer.fast_dev_run=1"])
    assert "| ptame" in capsys.readouterr().out
