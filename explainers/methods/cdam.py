"""CDAM: contribution of each patch token to a class through the last attention of a transformer.

Class-Discriminative Attention Maps for Vision Transformers (https://arxiv.org/abs/2312.02364).
"""

import torch
from torch import Tensor

from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.classifier.tokens.transformer import LastBlock
from explainers.errors import MOST_COUNTED, require_known, require_number, require_whole
from explainers.methods.vit.token_explainer import TokenExplainer
from explainers.methods.vit.token_gradients import (
    Value,
    gradient_times_token,
    patch_scores,
    require_class_token,
    scores_of_classes,
    token_gradients,
)


class CDAM(TokenExplainer):
    """Gradient times token where the last attention reads it: S_i = sum_j T_ij df/dT_ij.

    Scores are signed, in logits: below 0 they are negative attribution. T is what enters the last
    attention, not what enters its block: there, a patch that reaches the logit only through a norm,
    which does not see its scale, scores zero.

    Args:
        classifier: the transformer to explain; see `FrozenClassifier.of`.
        cosine: for references; see `TokenExplainer`.
        attention_only: explain networks, too, whose head reads the patches themselves (their mean,
            for one): the map then shows what they add through the last attention, and not what
            passes it by.

    Raises:
        ArchitectureError: the classifier is no transformer of pre-norm blocks, or its head reads
            the patches and `attention_only` is not set.
    """

    title = "CDAM"
    papers = (
        Paper(
            "brocki2023cdam",
            "Class-Discriminative Attention Maps for Vision Transformers",
            "Brocki, Lennart and Binda, Jakub and Chung, Neo Christopher",
            "2312.02364",
        ),
    )
    export_obstacle = "takes a gradient for each image"
    signed = True

    def __init__(
        self, classifier: ClassifierSource, cosine: bool = False, attention_only: bool = False
    ) -> None:
        super().__init__(classifier, cosine)
        require_class_token(self.transformer, attention_only)

    def token_scores(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the patches (b k n) of images (b 3 h w); see `TokenExplainer.value`."""
        return patch_scores(self, images, target, self.last_scores)

    def last_scores(self, last: LastBlock, value: Value) -> Tensor:
        """Score all tokens (b k t) of a batch in the last block."""
        return gradient_times_token(last, last.inputs, value)

    def scores_of_classes(self, images: Tensor, labels: Tensor) -> Tensor:
        """Score the pixels for several classes an image, after one pass through the network.

        Args:
            images: (b 3 h w), RGB in [0, 1].
            labels: int64 (b k).

        Returns:
            Scores (b k h w), float32.

        Raises:
            InputError: a label is outside the classes, or there is not one row an image.
        """
        return scores_of_classes(self, images, labels)


class SmoothCDAM(TokenExplainer):
    """Mean of CDAM over noisy copies of what enters the last block.

    Args:
        classifier: the transformer to explain; see `FrozenClassifier.of`.
        samples: number of copies.
        noise: standard deviation of the noise, as a share of the range of each image's tokens.
        seed: of the noise, which is the same for every image.
        cosine: for references; see `TokenExplainer`.
        attention_only: as for `CDAM`.

    Raises:
        InputError: there are no copies, or the noise is negative; and as `CDAM`.
    """

    title = "Smooth CDAM"
    papers = CDAM.papers
    export_obstacle = CDAM.export_obstacle
    signed = True

    def __init__(
        self,
        classifier: ClassifierSource,
        samples: int = 50,
        noise: float = 0.05,
        seed: int = 0,
        cosine: bool = False,
        attention_only: bool = False,
    ) -> None:
        super().__init__(classifier, cosine)
        require_class_token(self.transformer, attention_only)
        require_whole("samples", samples, 1, MOST_COUNTED)
        require_number("noise", noise, least=0)
        require_whole("seed", seed, 0, 2**63 - 1)
        self.samples = samples
        self.noise = noise
        self.seed = seed

    def token_scores(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the patches (b k n) of images (b 3 h w); see `TokenExplainer.value`."""
        return patch_scores(self, images, target, self.last_scores)

    def last_scores(self, last: LastBlock, value: Value) -> Tensor:
        """Score all tokens (b k t): mean of T_k . df/dT (T_k), the noise in both branches."""
        inputs = last.inputs
        spread = inputs.amax((1, 2), keepdim=True) - inputs.amin((1, 2), keepdim=True)
        generator = torch.Generator().manual_seed(self.seed)
        mean: Tensor | float = 0.0
        for count in range(1, self.samples + 1):
            noise = torch.randn(inputs.shape[1:], generator=generator).to(inputs)
            scores = gradient_times_token(last, inputs + self.noise * spread * noise, value)
            mean = mean + (scores - mean) / count  # without noise, CDAM to the last bit
        return torch.as_tensor(mean)

    def scores_of_classes(self, images: Tensor, labels: Tensor) -> Tensor:
        """Score the pixels (b k h w) for labels (b k); see `CDAM.scores_of_classes`."""
        return scores_of_classes(self, images, labels)


class IntegratedCDAM(TokenExplainer):
    """Mean of CDAM along a path from zero to the tokens of the image.

    Args:
        classifier: the transformer to explain; see `FrozenClassifier.of`.
        path: `post_norm` shrinks the patches of T, all else fixed: by the midpoint rule, the
            scores add up to f less what it is when the last attention reads nothing of the
            patches. `pre_norm` shrinks what enters the block; the norm undoes it for all but the
            residual of the class token, so those scores add up to nothing in particular.
        steps: intervals of the path.
        cosine: for references; see `TokenExplainer`.
        attention_only: as for `CDAM`.

    Raises:
        InputError: the path is unknown or has fewer than 2 steps; and as `CDAM`.
    """

    title = "Integrated CDAM"
    papers = CDAM.papers
    export_obstacle = CDAM.export_obstacle
    signed = True

    def __init__(
        self,
        classifier: ClassifierSource,
        path: str = "post_norm",
        steps: int = 50,
        cosine: bool = False,
        attention_only: bool = False,
    ) -> None:
        super().__init__(classifier, cosine)
        require_class_token(self.transformer, attention_only)
        require_known("path", path, PATHS)
        require_whole("steps", steps, 2, MOST_COUNTED)
        self.path = path
        self.steps = steps

    def token_scores(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the patches (b k n) of images (b 3 h w); see `TokenExplainer.value`."""
        return patch_scores(self, images, target, self.last_scores)

    def last_scores(self, last: LastBlock, value: Value) -> Tensor:
        """Score all tokens (b k t); those of the prefix are zero on `post_norm`."""
        return PATHS[self.path](self, last, value)

    def scores_of_classes(self, images: Tensor, labels: Tensor) -> Tensor:
        """Score the pixels (b k h w) for labels (b k); see `CDAM.scores_of_classes`."""
        return scores_of_classes(self, images, labels)

    def _post_norm(self, last: LastBlock, value: Value) -> Tensor:
        normed = last.normed(last.inputs)
        patches = torch.zeros_like(normed)
        patches[:, self.transformer.prefix :] = normed[:, self.transformer.prefix :]
        total: Tensor | float = 0.0
        for step in range(self.steps):
            removed = 1 - (step + 0.5) / self.steps
            total = total + token_gradients(last, normed - removed * patches, last.inputs, value)
        return torch.einsum("btd,bktd->bkt", patches, torch.as_tensor(total) / self.steps)

    def _pre_norm(self, last: LastBlock, value: Value) -> Tensor:
        shares = [step / self.steps for step in range(1, self.steps)]
        total: Tensor | float = 0.0
        for share in shares:
            total = total + gradient_times_token(last, share * last.inputs, value)
        return torch.as_tensor(total) / len(shares)


PATHS = {"post_norm": IntegratedCDAM._post_norm, "pre_norm": IntegratedCDAM._pre_norm}
"""Paths of `IntegratedCDAM` by name."""
