"""The configs of train.py are accepted, and their published settings train."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from webdataset import TarWriter

from train import main

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    path for path in (ROOT / "configs").glob("*.yaml") if not path.name.startswith("compare_")
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
    ]


@pytest.mark.slow
@pytest.mark.parametrize("explainer", ["ptame", "tame", "lcam"])
def test_published_settings_train_a_step_on_shards(explainer, shards, capsys):
    networks = ["--model.init_args.classifier={model: resnet50, pretrained: false}"]
    if explainer == "ptame":
        networks.append("--model.init_args.auxiliary={model: resnet18, pretrained: false}")
    config = ROOT / f"configs/{explainer}_resnet50_imagenet.yaml"
    cli = main(["fit", f"--config={config}", "--trainer.fast_dev_run=1", *shards, *networks])
    assert f"| {explainer}" in capsys.readouterr().out
    assert cli.model.trained_state().keys() >= {"network.head.fuser.weight"}
    assert all(value.isfinite().all() for value in cli.model.trained_state().values())


@pytest.mark.slow
@pytest.mark.skipif(find_spec("foolbox") is None, reason="needs the packages of the extra demo")
def test_demo_config_trains_a_step_on_real_photographs(capsys):
    main(["fit", f"--config={ROOT / 'configs/demo.yaml'}", "--trainer.fast_dev_run=1"])
    assert "| ptame" in capsys.readouterr().out
