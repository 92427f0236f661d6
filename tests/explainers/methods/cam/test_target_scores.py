import torch

from explainers.methods.cam.target_scores import TARGET_SCORES


def test_selectors_by_hand():
    logits = torch.tensor([[2.0, 1.0, 1.0], [1.0, 2.0, 5.0]]).log()  # probabilities: a share each
    labels = torch.tensor([0, 0])
    for name, expected in {
        "logit": torch.tensor([2.0, 1.0]).log(),
        "probability": torch.tensor([1 / 2, 1 / 8]),
        "log_probability": torch.tensor([1 / 2, 1 / 8]).log(),
        "margin": torch.tensor([2 / 1, 1 / 5]).log(),
    }.items():
        torch.testing.assert_close(TARGET_SCORES[name](logits, labels), expected)
