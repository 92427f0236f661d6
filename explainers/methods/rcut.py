"""R-Cut: normalised cut of a vision transformer's tokens, their channels weighted for a class.

R-Cut: Enhancing Explainability in Vision Transformers with Relationship Weighted Out and Cut
(https://arxiv.org/abs/2307.09050).
"""

import logging
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from explainers.base import Explainer
from explainers.citation import Paper
from explainers.classifier import ClassifierSource
from explainers.classifier.tokens.transformer import LastBlock, Transformer
from explainers.errors import MOST_COUNTED, InputError, require_known, require_number, require_whole
from explainers.images.pixel_removal import keep
from explainers.methods.cam.channel_maps import min_to_max
from explainers.methods.vit.channel_relations import GRADIENTS, RELATIONS, VECTORS
from explainers.methods.vit.normalised_cut import affinities, correlated, cut, seed_positive

logger = logging.getLogger(__name__)

ARMS = {"out": 0.0, "cut": 0.25, "rcut": 0.2}
"""Default tau of each arm; `out` cuts nothing."""
SIGNS = ("seed", "out")


class RCut(Explainer):
    """Normalised cut of the graph of patch tokens, whose channels are weighted for the class.

    Tokens are the patches after `norm1` of the last block. Each channel, stretched to [0, 1] and
    enlarged, masks the image; its weight is the relation of the classifier's answer to the class.
    The weighted tokens are cut in two by `normalised_cut`; scores, in [0, 1], are the positive side
    of the eigenvector. Where every pair of patches is alike or none is, no cut is better than
    another, and the map is that of `out`; a warning says so once.

    The graph depends on the squares of the weights only: they are clamped at 0, or negative
    attribution would count as positive. The authors' code weights by Grad-CAM of the probability
    and does not clamp: `relation="probability_gradient", clamp=False`. A cosine within rounding of
    tau may fall on either side of it. Ours, where the paper leaves it open: every relation but
    `cosine_full`, the class vector, the sign `out`, and that `out` is stretched from its own
    minimum.

    Args:
        classifier: the transformer to explain, whatever its head reads; see `FrozenClassifier.of`.
        arm: `rcut`; `out`, the weighted sum of the channels alone; or `cut`, the graph alone: that
            of TokenCut, the same for every target, without passes for channels.
        relation: `cosine_target`; `cosine_full`, the paper's, to which a class other than the
            prediction makes no difference; `score`, the class's probability; or, for one pass
            instead of one a channel, the weights of Grad-CAM: `gradient` of the class's logit, or
            `probability_gradient`.
        vector: the class vector that relations compare, a key of `VECTORS`.
        clamp: set negative weights to 0; only gradients have any.
        sign: foreground is the side of the token with the largest entry (`seed`), or the one that
            correlates with the map of `out`.
        binary: two patches are alike or not; False keeps the cosine of those that are.
        channels: number of channels to weight, those of the largest variance over the patches; the
            others are left out: an approximation, for fewer passes. None takes all, as `cut` always
            does.
        tau: cosine above which patches are alike, in [0, 1); by default 0.2, for `cut` 0.25.
        chunk_size: masked images in one batch of the classifier.

    Raises:
        ArchitectureError: the classifier is no transformer of pre-norm blocks; a CNN has no tokens
            before an attention.
        InputError: a name is unknown, a number is out of its range, `cut` is to be signed by a
            class, or there is none to weigh by.
    """

    needs = "a vision transformer"
    title = "R-Cut"
    papers = (
        Paper(
            "niu2023rcut",
            "R-Cut: Enhancing Explainability in Vision Transformers with Relationship Weighted Out "
            "and Cut",
            "Niu, Yingjie and Ding, Ming and Ge, Maoning and Karlsson, Robin and Zhang, Yuxiao and "
            "Takeda, Kazuya",
            "2307.09050",
        ),
    )
    quick_settings: ClassVar = {"relation": "gradient"}
    export_obstacle = (
        "weights channels by further passes or a gradient, and solves an eigenproblem an image"
    )

    def __init__(
        self,
        classifier: ClassifierSource,
        arm: str = "rcut",
        relation: str = "cosine_target",
        vector: str = "probabilities",
        clamp: bool = True,
        sign: str = "seed",
        binary: bool = True,
        channels: int | None = None,
        tau: float | None = None,
        chunk_size: int = 64,
    ) -> None:
        super().__init__(classifier)
        self.transformer = Transformer(self.classifier)
        self.transformer.require_pre_norm()
        require_known("arm", arm, ARMS)
        require_known("relation", relation, [*RELATIONS, *GRADIENTS])
        require_known("vector", vector, VECTORS)
        require_known("sign", sign, SIGNS)
        width: int = self.transformer.model.embed_dim
        if channels is not None:
            require_whole("channels", channels, 1, width)
        tau = ARMS[arm] if tau is None else tau
        require_number("tau", tau, least=0, below=1)
        require_whole("chunk_size", chunk_size, 1, MOST_COUNTED)
        if arm == "cut" and sign != "seed":
            raise InputError(f"the arm 'cut' knows no class to choose sign={sign!r} by; use 'seed'")
        if arm != "cut" and not self.classifier.num_classes:
            raise InputError(
                f"{self.classifier.name} has no classes to weigh channels by; use arm='cut', or "
                "give num_classes and the weights of a head"
            )
        self.arm = arm
        self.reads_target = arm != "cut"
        self.relation = relation
        self.vector = vector
        self.clamp = clamp
        self.sign = sign
        self.binary = binary
        self.channels = channels
        self.tau = tau
        self.chunk_size = chunk_size
        self._warned = False

    def attribute(self, images: Tensor, target: Tensor) -> Tensor:
        """Weight the channels, cut, and interpolate bilinearly to the images' size."""
        # Gradients may be off where the caller is, and tensors of inference mode carry none.
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            torch.autocast(images.device.type, enabled=False),
        ):
            images, target = images.detach().clone(), target.detach().clone()
            parts = zip(images.split(self.chunk_size), target.split(self.chunk_size), strict=True)
            grids = torch.cat([self._grids(*part) for part in parts])
            return F.interpolate(grids, images.shape[-2:], mode="bilinear", align_corners=False)

    def to_maps(self, scores: Tensor) -> Tensor:
        """Scores are maps already."""
        return scores

    def _grids(self, images: Tensor, labels: Tensor) -> Tensor:
        """Maps (b 1 rows columns) in [0, 1], float64."""
        last = self.transformer.last_block(images)
        tokens = last.normed(last.inputs)[:, self.transformer.prefix :].double()
        if self.arm != "cut":
            tokens = tokens * self._weights(last, images, labels)[:, None]
        out = tokens.sum(dim=2)
        scores = out if self.arm == "out" else self._foreground(tokens, out)
        return min_to_max(scores.unflatten(1, self.transformer.grid(images))[:, None])

    def _foreground(self, tokens: Tensor, out: Tensor) -> Tensor:
        """The positive side (b n) of the cut of tokens (b n d), or `out` (b n) without a cut."""
        vectors, _, arbitrary = cut(affinities(tokens, self.tau, self.binary))
        vectors = seed_positive(vectors)
        if self.sign == "out":
            vectors = correlated(vectors, out)
        if arbitrary.any() and not self._warned:
            self._warned = True
            logger.warning(
                "R-Cut: at tau=%s no cut of the patches is better than another, for %d of %d "
                "images; their map is the weighted sum of the channels (said once)",
                self.tau,
                int(arbitrary.sum()),
                len(arbitrary),
            )
        return torch.where(arbitrary[:, None], out, vectors.relu())

    def _weights(self, last: LastBlock, images: Tensor, labels: Tensor) -> Tensor:
        """Weights (b d) of the channels, the largest of size 1, those left out 0; float64."""
        tokens = last.normed(last.inputs)[:, self.transformer.prefix :]
        count = tokens.shape[2] if self.channels is None else self.channels
        chosen = tokens.var(dim=1).topk(count).indices.sort().values  # (b count)
        if self.relation in GRADIENTS:
            weights = self._gradients(last, labels).gather(1, chosen)
        else:
            weights = self._relations(
                last, tokens.take_along_dim(chosen[:, None], 2), images, labels
            )
        if self.clamp:
            weights = weights.clamp(min=0)
        # A class that the network rules out has weights whose squares are lost in rounding.
        highest = weights.abs().amax(dim=1, keepdim=True)
        weights = weights / torch.where(highest > 0, highest, 1)
        return torch.zeros_like(tokens[:, 0]).double().scatter(1, chosen, weights)

    def _relations(self, last: LastBlock, tokens: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Weights (b k) of the channels of tokens (b n k), from one forward pass each."""
        grids = tokens.mT.unflatten(2, self.transformer.grid(images)).flatten(0, 1)[:, None]
        masks = min_to_max(grids)  # (b*k 1 rows columns)
        relate, vector = RELATIONS[self.relation], VECTORS[self.vector]
        read = last.read(last.normed(last.inputs), last.inputs)
        decision = self.classifier.decision
        whole = vector(self.transformer.logits(read).double(), decision)
        chunks = torch.arange(len(masks), device=images.device).split(self.chunk_size)
        weights = []
        for chunk in tqdm(chunks, desc="R-Cut", unit="chunk", leave=False, disable=None):
            image = chunk // tokens.shape[2]
            enlarged = F.interpolate(
                masks[chunk], images.shape[-2:], mode="bilinear", align_corners=False
            )
            vectors = vector(self.classifier(keep(images[image], enlarged)).double(), decision)
            weights.append(relate(vectors, whole[image], labels[image]))
        return torch.cat(weights).view(len(images), -1)

    @torch.enable_grad()
    def _gradients(self, last: LastBlock, labels: Tensor) -> Tensor:
        """Mean over the patches (b d) of the target score's gradient; Grad-CAM, arXiv:1610.02391."""
        leaf = last.normed(last.inputs).detach().requires_grad_()
        logits = self.transformer.logits(last.read(leaf, last.inputs))
        value = GRADIENTS[self.relation](logits, labels, self.classifier.decision)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
        return gradient[:, self.transformer.prefix :].mean(dim=1).double()
