"""Classes that a training step looks at."""

import torch

from explainers.classifier.decision import Decision
from explainers.training.class_draw import absent_classes, classes_before, listed, present

LOGITS = torch.tensor([[3.0, -1.0, 2.0, 4.0], [-5.0, -4.0, -3.0, -2.0], [1.0, 1.5, 1.2, 1.1]])
LABELS = torch.tensor([2, 3, 0])


def test_present_classes_are_the_label_alone_or_all_that_are_shown():
    one = present(Decision("softmax"), LABELS, LOGITS)
    assert one.nonzero().tolist() == [[0, 2], [1, 3], [2, 0]]
    several = present(Decision("sigmoid"), LABELS, LOGITS)
    assert several.tolist() == [
        [True, False, True, True],
        [False, False, False, True],  # the likeliest, though no class is over the threshold
        [True, True, True, True],
    ]


def test_listed_classes_begin_with_the_label_and_are_filled_up_with_it():
    shown = present(Decision("sigmoid"), LABELS, LOGITS)
    assert listed(shown, LABELS, LOGITS, 8).tolist() == [[2, 3, 0, 2], [3, 3, 3, 3], [0, 1, 2, 3]]
    assert listed(shown, LABELS, LOGITS, 2).tolist() == [[2, 3], [3, 3], [0, 1]]
    assert listed(shown[1:2], LABELS[1:2], LOGITS[1:2], 8).tolist() == [[3]]


def test_absent_classes_are_drawn_equally_often_of_those_not_shown():
    shown = present(Decision("sigmoid"), LABELS, LOGITS)
    drawn = torch.stack([absent_classes(shown, LABELS, seed) for seed in range(600)])
    assert torch.equal(drawn[5], absent_classes(shown, LABELS, 5))
    assert (drawn[:, 0] == 1).all()
    counts = drawn[:, 1].bincount(minlength=4).tolist()
    assert counts[3] == 0
    assert all(abs(count - 200) < 50 for count in counts[:3])
    assert (drawn[:, 2] == 0).all()  # its label: it shows every class


def test_class_before_is_that_of_the_image_before():
    assert classes_before(LABELS).tolist() == [0, 2, 3]
