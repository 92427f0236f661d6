"""Mean activation of one layer: a baseline for methods whose maps depend on the target."""

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.classifier import ClassifierSource
from explainers.classifier.features import require_stages


class ActivationMap(Explainer):
    """Mean of the channels of one layer, the same for every class and every reference.

    Args:
        classifier: the model to explain; see `FrozenClassifier.of`.
        stage: which of the classifier's `stages` to average.
    """

    title = "Activation map"
    papers = ()
    export_obstacle = "answers alike for all classes: export the network's features instead"
    reads_target = False

    def __init__(self, classifier: ClassifierSource = "resnet50", stage: int = -1) -> None:
        super().__init__(classifier)
        require_stages(self.classifier.stages, [stage], "stage")
        self.stage = stage

    @torch.no_grad()
    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Average the channels, and interpolate bilinearly to the images' size."""
        (maps,) = self.classifier.features(images, [self.stage])
        mean = maps.mean(dim=1, keepdim=True)
        return F.interpolate(mean, images.shape[-2:], mode="bilinear", align_corners=False)
