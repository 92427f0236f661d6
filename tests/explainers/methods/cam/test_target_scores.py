import torch

from explainers.classifier.decision import SOFTMAX, Decision
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
        torch.testing.assert_close(TARGET_SCORES[name](logits, labels, SOFTMAX), expected)


def test_classes_that_do_not_exclude_each_other_are_scored_alone():
    logits = torch.tensor([[2.0, 1.0], [0.0, 5.0]])
    labels, sigmoid = torch.tensor([0, 0]), Decision("sigmoid")
    probability = torch.tensor([2.0, 0.0]).sigmoid()
    torch.testing.assert_close(TARGET_SCORES["probability"](logits, labels, sigmoid), probability)
    log = TARGET_SCORES["log_probability"](logits, labels, sigmoid)
    torch.testing.assert_close(log, probability.log())
    for name in ("logit", "margin"):
        assert TARGET_SCORES[name](logits, labels, sigmoid).tolist() == [2.0, 0.0]
