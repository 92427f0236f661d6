"""What stops a run leaves no harm: it goes on as if nothing had been, or says why it cannot."""

import socket

import pytest
import torch

pytestmark = pytest.mark.slow


def test_a_killed_run_goes_on_and_ends_with_the_weights_of_an_uninterrupted_one(
    train, config, shards, tmp_path
):
    generator = torch.Generator()
    generator.seed()
    step = int(torch.randint(3, 10, (), generator=generator))
    common = [
        "fit",
        config,
        *shards(3),
        "--data.num_workers=2",
        "--data.batch_size=4",  # five steps an epoch, two epochs
        "--trainer.limit_val_batches=0",
        "--trainer.logger=false",
        "--trainer.callbacks=ModelCheckpoint",
        "--trainer.callbacks.every_n_train_steps=2",
        "--trainer.callbacks.save_last=true",
        "--trainer.callbacks.filename=epoch",
    ]

    def fit(name, *options, code=""):
        folder = tmp_path / name
        return train(
            *common,
            f"--trainer.default_root_dir={folder}",
            f"--trainer.callbacks.dirpath={folder}/checkpoints",
            *options,
            code="from explainers.commands.train import ExplainerCLI\n"
            f"ExplainerCLI.after_fit = lambda self: None\n{code}",
        )

    whole = fit("whole")
    assert whole.returncode == 0, whole.stderr[-3000:]
    code = (
        "import os, signal\n"
        "from explainers import PTAME\n"
        "step = PTAME.training_step\n"
        "def dying(self, batch, batch_idx):\n"
        f"    if self.global_step == {step}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return step(self, batch, batch_idx)\n"
        "PTAME.training_step = dying\n"
    )
    assert fit("killed", code=code).returncode == -9
    last = tmp_path / "killed/checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == step // 2 * 2
    assert not list(last.parent.glob("*.part"))
    resumed = fit("killed", f"--ckpt_path={last}")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    expected = torch.load(tmp_path / "whole/checkpoints/last.ckpt", weights_only=True)
    ended = torch.load(last, weights_only=True)
    assert ended["global_step"] == expected["global_step"] == 10
    for name, value in expected["state_dict"].items():
        assert torch.equal(ended["state_dict"][name], value), f"{name}, killed in step {step}"


def damage(path, number):
    """Overwrite the beginning of one of the JPEGs of a shard."""
    content = path.read_bytes()
    start = -1
    for _ in range(number + 1):
        start = content.index(b"\xff\xd8\xff", start + 1)
    path.write_bytes(content[:start] + bytes(100) + content[start + 100 :])


def test_one_unreadable_sample_too_many_is_one_line_and_exit_code_two(
    train, config, shards, tmp_path
):
    options = ["test", config, *shards(1, samples=8), "--data.max_bad=0", "--data.num_workers=1"]
    options.append("--data.batch_size=4")
    damage(tmp_path / "shards-1/noise-0.tar", 3)
    result = train(*options, "--trainer.logger=false", f"--trainer.default_root_dir={tmp_path}")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "1 samples cannot be read, and max_bad is 0" in line
    assert "noise-0.tar: sample '03' has a jpg that cannot be decoded" in line


@pytest.mark.parametrize("rank", [0, 1])
def test_an_unreadable_sample_of_one_process_ends_them_all(train, rank, config, shards, tmp_path):
    options = shards(1, samples=8)
    # Evaluation deals the samples out: sample `rank` is read by that process alone.
    damage(tmp_path / "shards-1/noise-0.tar", rank)
    result = train(
        "test",
        config,
        *options,
        "--data.num_workers=0",
        "--data.batch_size=1",
        "--data.max_bad=0",
        "--trainer.logger=false",
        f"--trainer.default_root_dir={tmp_path}",
        "--trainer.strategy=ddp_fork",
        "--trainer.devices=2",
    )
    assert result.returncode != 0
    assert f"sample '{rank:02d}' has a jpg that cannot be decoded" in result.stderr


def test_processes_of_which_one_is_interrupted_stop_after_the_same_step(
    start_train, config, shards, tmp_path
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import os, signal\n"
        "from explainers import PTAME\n"
        "os.environ.update(LOCAL_RANK='{rank}', NODE_RANK='0', WORLD_SIZE='2')\n"
        "os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT='{port}')\n"
        "step = PTAME.training_step\n"
        "def interrupted(self, batch, batch_idx):\n"
        "    if self.global_step == 4 and self.global_rank == 1: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return step(self, batch, batch_idx)\n"
        "PTAME.training_step = interrupted\n"
    )
    arguments = [
        "fit",
        config,
        *shards(1),
        "--data.num_workers=0",
        "--data.batch_size=1",
        "--trainer.limit_val_batches=0",
        "--trainer.logger=false",
        f"--trainer.default_root_dir={tmp_path}",
        "--trainer.strategy=ddp",
        "--trainer.devices=2",
    ]
    runs = [start_train(*arguments, code=code.format(rank=rank, port=port)) for rank in range(2)]
    results = [run.result() for run in runs]
    assert [result.returncode for result in results] == [130, 130], results
    path = tmp_path / "checkpoints/interrupted.ckpt"
    assert f"go on with --ckpt_path {path}" in results[0].stdout + results[0].stderr
    assert torch.load(path, weights_only=True)["global_step"] == 16


def test_a_full_disk_leaves_the_checkpoint_before_it(train, config, shards, tmp_path):
    code = (
        "import errno, os, explainers.durable_files\n"
        "calls = []\n"
        "def full(handle):\n"
        "    calls.append(handle)\n"
        "    if len(calls) > 2: raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "explainers.durable_files.os.fsync = full\n"
    )
    result = train(
        "fit",
        config,
        *shards(1),
        "--data.num_workers=0",
        "--data.batch_size=4",
        "--trainer.logger=false",
        f"--trainer.default_root_dir={tmp_path}",
        "--trainer.callbacks=ModelCheckpoint",
        "--trainer.callbacks.every_n_train_steps=1",
        "--trainer.callbacks.save_top_k=-1",
        f"--trainer.callbacks.dirpath={tmp_path}/checkpoints",
        code=code,
    )
    assert result.returncode == 2
    assert "cannot write the checkpoint" in result.stderr
    assert "No space left on device" in result.stderr
    there = sorted((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in there] == ["epoch=0-step=1.ckpt", "epoch=0-step=2.ckpt"]
    assert torch.load(there[1], weights_only=True)["global_step"] == 2
