"""What trains nothing is tested and predicted by train.py, and not fitted."""

from pathlib import Path

import pytest
import timm
import torch

from datamodules.maps import Maps
from explainers import OptiCAM
from train import main

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "configs/smoke.yaml"

pytestmark = [
    pytest.mark.usefixtures("no_command_line"),
    # Lightning warns about few workers, few log steps and its own dependencies.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def opticam(tmp_path):
    """A config of a method that trains nothing."""
    smoke = SMOKE.read_text()
    data = smoke[smoke.index("data:") :]
    path = tmp_path / "opticam.yaml"
    path.write_text(
        "model:\n  class_path: explainers.OptiCAM\n  init_args:\n    steps: 3\n"
        "    classifier: {model: test_resnet, pretrained: false, num_classes: 4}\n" + data
    )
    return path


def test_what_cannot_be_trained_is_tested(opticam, capsys, events_of):
    cli = main(["test", f"--config={opticam}"])
    printed = capsys.readouterr().out
    assert "| opticam" in printed
    assert "| fake_cam" in printed
    events = events_of(cli.trainer.log_dir)
    assert len(events.Images("test/panel")) == 1
    assert len(events.Scalars("test/objective/0")) == 3
    assert "test/objective/3" in events.Tags()["scalars"]


def test_what_cannot_be_trained_is_predicted(opticam, capsys):
    cli = main(["predict", f"--config={opticam}"])
    folder = Path(cli.trainer.log_dir) / "maps"
    assert f"10 maps in 1 shards: {folder}/maps-*.tar" in capsys.readouterr().out
    assert cli.trainer.predict_loop.predictions == []
    batches = cli.trainer.predict(cli.model, cli.datamodule)
    assert [len(batch["maps"]) for batch in batches] == [0, 0]  # all of them are there
    assert cli.model.first_predicted == 0  # for a run that does not write
    maps = Maps(str(folder / "maps-*.tar"))
    assert len(maps) == 10
    expected = cli.model.explain(next(iter(cli.datamodule.predict_dataloader()))["image"])
    for sample, one in zip(maps, expected, strict=False):
        torch.testing.assert_close(sample["map"], one.map_list[0], atol=0.5 / 255 + 1e-6, rtol=0)
        assert sample["target"] == int(one.target)
        assert sample["probability"] == pytest.approx(float(one.probabilities), rel=1e-5)


@pytest.fixture
def weights(opticam, tmp_path):
    """Options that give each run the same random weights."""
    torch.save(timm.create_model("test_resnet", num_classes=4).state_dict(), tmp_path / "w.pth")
    source = f"{{model: test_resnet, num_classes: 4, weights: {tmp_path / 'w.pth'}}}"
    return [f"--config={opticam}", f"--model.init_args.classifier={source}"]


def test_predict_goes_on_after_the_last_whole_shard(weights, tmp_path, capsys, monkeypatch):
    arguments = ["predict", *weights, f"--maps.output={tmp_path}/maps", "--maps.precision=float16"]
    arguments += ["--maps.max_size=10K", "--data.init_args.batch_size=2"]
    explained = []
    answer = OptiCAM.answer

    def stopping(self, images, target):
        explained.append(len(images))
        if len(explained) == 4:
            raise RuntimeError("stop")
        return answer(self, images, target)

    monkeypatch.setattr(OptiCAM, "answer", stopping)
    with pytest.raises(RuntimeError, match="stop"):
        main(arguments)
    # Of the three batches, two have shards: the next one's begin is what ends a shard.
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [
        "_info.json",
        "maps-000000.tar",
        "maps-000001.tar",
    ]
    main(arguments)
    assert explained == [2] * 4 + [2] * 3
    keys = [sample["key"] for sample in Maps(f"{tmp_path}/maps/maps-*.tar")]
    assert len(keys) == len(set(keys)) == 10
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--maps.precision=uint8"])
    assert "precision was 'float16', and is 'uint8'" in capsys.readouterr().err


def test_what_cannot_be_trained_refuses_to(opticam, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", f"--config={opticam}"])
    assert stop.value.code == 2
    printed = capsys.readouterr().err.splitlines()
    errors = [line for line in printed if line.startswith("error")]
    assert len(errors) == 1
    assert "OptiCAM has nothing to train" in errors[0]
