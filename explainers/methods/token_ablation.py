"""TAM: drop of the logit when a patch token is left out.

A comparator in the CDAM paper (https://arxiv.org/abs/2312.02364).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.classifier import ClassifierSource
from explainers.classifier.tokens.hidden_tokens import HideTokens
from explainers.errors import MOST_COUNTED, require_whole
from explainers.methods.cdam import CDAM
from explainers.methods.vit.token_explainer import TokenExplainer


class TokenAblation(TokenExplainer):
    """Leaves out one patch token at a time: S_i = f(x) - f(x without i), in logits, signed.

    The token goes after its position was added, so all others stay where they are: no token of any
    block attends to it, and the head does not get it. Costs one forward pass a patch.

    Args:
        classifier: the transformer to explain; see `FrozenClassifier.of`.
        chunk_size: images in the network at once.
        cosine: for references; see `TokenExplainer`.

    Raises:
        ArchitectureError: the classifier is no transformer with one sequence of tokens, or, when
            it runs, its attention is not computed by a softmax.
        InputError: chunk_size is below 1.
    """

    title = "Token ablation map"
    papers = CDAM.papers
    export_obstacle = "takes a pass a patch, changing the network's attention in each"
    signed = True

    def __init__(
        self, classifier: ClassifierSource, chunk_size: int = 64, cosine: bool = False
    ) -> None:
        super().__init__(classifier, cosine)
        require_whole("chunk_size", chunk_size, 1, MOST_COUNTED)
        self.chunk_size = chunk_size

    @torch.no_grad()
    def token_scores(self, images: Tensor, target: Tensor) -> Tensor:
        """Score the patches (b 1 n) of images (b 3 h w)."""
        model, prefix = self.transformer.model, self.transformer.prefix
        prepared = self.transformer.prepare(images)
        whole = model.forward_features(prepared)
        patches = whole.shape[1] - prefix
        without = []
        for chunk in torch.arange(len(images) * patches).split(self.chunk_size):
            pairs = chunk.to(images.device)
            image, position = pairs // patches, pairs % patches + prefix
            with HideTokens(F.one_hot(position, whole.shape[1]).bool()) as hidden:
                tokens = model.forward_features(prepared[image])
            hidden.require(model.blocks)
            without.append(self.value(_left_out(tokens, position), target[image]))
        return self.value(whole, target)[..., None] - torch.cat(without).view(-1, 1, patches)


def _left_out(tokens: Tensor, position: Tensor) -> Tensor:
    """Take one token (b) out of each sequence (b t d): (b t-1 d)."""
    others = torch.arange(tokens.shape[1] - 1, device=tokens.device).repeat(len(tokens), 1)
    others = others + (others >= position[:, None])
    return tokens.take_along_dim(others[..., None], dim=1)
