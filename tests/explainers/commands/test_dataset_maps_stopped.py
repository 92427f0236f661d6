"""The maps of a data set: every image once, whenever the run was stopped."""

import json

import pytest

from datamodules.maps import Maps
from explainers import OptiCAM
from explainers.cli import main


def explain(config, images, output, *more):
    arguments = ["explain", "--config", str(config), "--images", str(images)]
    return main([*arguments, "--output", str(output), *map(str, more)])


def keys_of(output):
    return [sample["key"] for sample in Maps(str(output / "maps-*.tar"))]


@pytest.mark.parametrize("error", [SystemError, KeyboardInterrupt])
def test_stopped_run_goes_on(config, folder, tmp_path, error, monkeypatch, capsys):
    """Killed, only whole shards are there; by Ctrl-C, the one that was begun is too."""
    output = tmp_path / "out"
    options = ["--batch-size", "1", "--max-size", "10K", "--precision", "float16"]
    explained = []
    attribute = OptiCAM.attribute

    def stopping(self, images, target):
        explained.append(len(images))
        if len(explained) == 4:
            raise error("stop")
        return attribute(self, images, target)

    monkeypatch.setattr(OptiCAM, "attribute", stopping)
    if error is KeyboardInterrupt:
        assert explain(config, folder, output, *options) == 130
        assert "run the same command again" in capsys.readouterr().err
    else:
        with pytest.raises(error):
            explain(config, folder, output, *options)
    done = {SystemError: 2, KeyboardInterrupt: 3}[error]
    assert len(keys_of(output)) == done
    assert not list(output.glob("*.part"))
    assert explain(config, folder, output, *options) == 0
    assert len(explained) == 4 + 5 - done
    assert keys_of(output) == ["a_0", "a_2", "a_4", "b_1", "b_3"]
    assert explain(config, folder, output, *options) == 0
    assert len(explained) == 4 + 5 - done


def test_half_of_a_shard_that_a_killed_run_left_is_written_anew(config, folder, tmp_path):
    output = tmp_path / "out"
    explain(config, folder, output)
    info = json.loads((output / "_info.json").read_text())
    info["splits"]["maps"] |= {"filenames": [], "shard_lengths": [], "position": 0}
    (output / "_info.json").write_text(json.dumps(info))
    (output / "maps-000000.tar").write_bytes(b"not noted as done")
    (output / "maps-000000.tar.part").write_bytes(b"half")
    assert explain(config, folder, output) == 0
    assert len(keys_of(output)) == 5
    assert not list(output.glob("*.part"))


def test_maps_of_something_else_are_not_added_to(config, folder, tmp_path, capsys):
    output = tmp_path / "out"
    assert explain(config, folder, output) == 0
    assert explain(config, folder, output, "--target", 2) == 2
    assert "target was None, and is 2" in capsys.readouterr().err
    (output / "maps-000000.tar").unlink()
    assert explain(config, folder, output) == 2
    assert "is not there with the 5 samples" in capsys.readouterr().err
    (output / "_info.json").unlink()
    (output / "maps-000000.tar").write_bytes(b"")
    assert explain(config, folder, output) == 2
    assert "is of another run" in capsys.readouterr().err
