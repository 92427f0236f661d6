"""What the methods of a comparison share: reading, and the classifier's pass of whole images."""

import torch

from explainers import FrozenClassifier
from explainers.evaluation.comparison import Comparison
from explainers.evaluation.evaluator import Evaluator
from explainers.evaluation.uninformative import centre_gaussian


class Batches:
    """Five images in batches of 3 and 2, and how often one was read."""

    def __init__(self):
        images = torch.rand(5, 3, 64, 96)
        self.parts = [{"image": part, "key": ["image"] * len(part)} for part in images.split(3)]
        self.reads = 0

    def __iter__(self):
        for part in self.parts:
            self.reads += 1
            yield part


def gaussian(images, labels):
    return centre_gaussian(images)


def shown_to_the_classifier(methods, folder):
    """Images that the classifier was shown, and batches that were read."""
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=4)
    shown = []
    classifier.model.register_forward_hook(lambda *call: shown.append(len(call[1][0])))
    batches = Batches()
    evaluator = Evaluator(classifier, methods, ["average_drop"])
    Comparison(evaluator, methods, batches, {}, folder, pictured=()).run()
    return sum(shown), batches.reads


def test_batches_are_read_and_classified_once_for_all_methods(tmp_path):
    one, reads = shown_to_the_classifier({"gaussian": gaussian}, tmp_path / "one")
    two, again = shown_to_the_classifier({"gaussian": gaussian, "more": gaussian}, tmp_path / "two")
    assert (one, two) == (10, 15)  # whole images, and masked ones for each method
    assert reads == again == 3  # the first a second time, to see if there are references
