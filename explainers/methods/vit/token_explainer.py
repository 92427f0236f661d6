"""Explainers that score the patch tokens of a vision transformer."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.classifier import ClassifierSource
from explainers.classifier.targets import require_references
from explainers.classifier.tokens.transformer import Transformer


class TokenExplainer(Explainer):
    """Scores the patches of a vision transformer, for a class or for reference embeddings.

    The target score is the logit f_c of a label, or g = l . l_c of a reference: l is the embedding
    of the image, l_c the reference, neither normalised.

    Args:
        classifier: the transformer to explain; see `FrozenClassifier.of`.
        cosine: compare embeddings by their cosine. Its gradient vanishes where both are parallel,
            as when an image is explained with itself.

    Raises:
        ArchitectureError: the classifier is no such transformer.
    """

    needs = "a vision transformer"

    def __init__(self, classifier: ClassifierSource, cosine: bool = False) -> None:
        super().__init__(classifier)
        self.transformer = Transformer(self.classifier)
        self.cosine = cosine

    @abstractmethod
    def token_scores(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the patches (b k n), of images (b 3 h w), for k targets each; see `value`."""

    def value(self, tokens: Tensor, target: Tensor) -> Tensor:
        """Target scores (b k), in logits, of the tokens that the head gets (b _ d).

        Args:
            tokens: after the final norm.
            target: labels (b) or (b k), or references (b d), of which k is 1.
        """
        if not target.is_floating_point():
            labels = target if target.ndim == 2 else target[:, None]
            return self.transformer.logits(tokens).gather(1, labels)
        embeddings: Tensor = self.transformer.model.forward_head(tokens, pre_logits=True)
        if self.cosine:
            return F.cosine_similarity(embeddings, target)[:, None]
        return (embeddings * target).sum(dim=1, keepdim=True)

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the patches; each pixel has the score of its patch."""
        # Gradients may be off where the caller is, and tensors of inference mode carry none.
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(images.device.type, enabled=False),
        ):
            scores = self.token_scores(images.detach().clone(), target.detach().clone())
        return self.transformer.place(scores.detach(), images)

    def resolve_target(self, images: Tensor, target: Tensor | None) -> Tensor:
        """Check labels and references, or predict; raises as `forward`."""
        if target is None or not target.is_floating_point():
            return super().resolve_target(images, target)
        width = self.transformer.model.num_features
        require_references(images, target, width, self.classifier.name)
        return target
