"""The training loop: its dropout is that of the step, whatever was drawn before."""

import copy

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from explainers import PTAMEPlus

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


@pytest.mark.filterwarnings("default")
def test_dropout_depends_on_the_step_and_not_on_what_was_drawn_before(tmp_path):
    images = torch.rand(4, 3, 64, 64)
    start = PTAMEPlus(SOURCE, stages=[2, -1], decoder_width=16, lr=1e-2)
    ends = []
    for seed in (1, 2):
        explainer = copy.deepcopy(start)
        trainer = lightning.Trainer(
            max_steps=3,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        torch.manual_seed(seed)
        trainer.fit(explainer, DataLoader([{"image": image} for image in images], batch_size=2))
        ends.append(explainer.trained_state())
    moved = start.trained_state()
    assert any(not torch.equal(value, moved[name]) for name, value in ends[0].items())
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name
