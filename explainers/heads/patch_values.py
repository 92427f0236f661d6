"""The network of Shapley explainers: a signed value for each patch and class."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from explainers.heads.conditioned_head import resize
from explainers.training.masked_answers import MaskedAnswers
from explainers.training.masking_network import MaskingNetwork, Readings, classes_of_each, exact
from explainers.training.shapley_regression import efficient


class PatchValueNetwork(MaskingNetwork):
    """Values of patches for classes, of which the sum is the probability less that of no patch.

    A network of scores reads the features at the size of the patches' grid. Its scores count in
    proportion to a sigmoid of the log-odds of the class, so that classes which the image does not
    show start with small values; and what is missing in the sum is shared by all patches.

    Args:
        scores: the network of scores; its backbone is the classifier.
        answers: says what the patches are.

    Attributes:
        empty: probabilities of the classes (classes) where no patch is kept.
    """

    empty: Tensor

    def __init__(self, scores: MaskingNetwork, answers: MaskedAnswers) -> None:
        super().__init__(scores.backbone, scores.stages)
        self.scores = scores
        self.grid = answers.grid
        self.steepness = nn.Parameter(torch.tensor(0.5))
        self.offset = nn.Parameter(torch.tensor(0.0))
        image = self.backbone.mean.new_zeros(1, 3, *self.backbone.size)
        nothing = torch.zeros(1, *answers.grid(image), dtype=torch.bool, device=image.device)
        with torch.no_grad():
            logits = answers(image, nothing)
        self.register_buffer("empty", self.backbone.decision.probabilities(logits)[0])

    @property
    def settings_of_readings(self) -> list[object]:
        """Stages and final norm, and the cells (rows, columns) that features are resized to."""
        image = self.backbone.mean.new_zeros(1, 3, *self.backbone.size)
        return [*super().settings_of_readings, self.grid(image)]

    @torch.no_grad()
    def read(self, images: Tensor) -> list[Tensor]:
        """Features at the grid's size (b channels r c), and then the logits (b classes 1 1)."""
        return self.read_with_logits(images)[1]

    @torch.no_grad()
    def read_with_logits(self, images: Tensor, classifier: nn.Module | None = None) -> Readings:
        """Logits (b classes), and what `read` gives, in one pass of the classifier."""
        logits, features = self.backbone.logits_and_features(
            images, self.read_stages, self.final_norm
        )
        grid = self.grid(images)
        return logits, [*(resize(one, grid) for one in features), logits[..., None, None]]

    def score(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Values (b n r c) of the patches; see `MaskingNetwork.score`."""
        *maps, logits = features
        labels = classes_of_each(labels, logits)
        scores = exact(self.scores.score(maps, labels))
        decision = self.backbone.decision
        chance = decision.probabilities(logits[..., 0, 0]).gather(1, labels)  # (b n)
        certain = torch.finfo(chance.dtype).eps
        odds = torch.logit(chance, certain)
        share = (self.steepness * odds + self.offset).sigmoid()[..., None, None]
        values = share * scores / scores[0, 0].numel()
        return efficient(values, chance - self.empty[labels])

    def draw(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """The values themselves."""
        return self.score(features, labels)
