"""Methods around one classifier, run for the web page: classes of an image and explanations."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from explainers.base import Explainer
from explainers.classifier import FrozenClassifier, frozen_networks
from explainers.classifier.concept import concept_embedding
from explainers.errors import InputError, TargetError, require_known
from explainers.explanation import Explanation
from explainers.images.reading import at_sizes_of, to_batch
from explainers.methods.similarity.similarity_explainer import SimilarityExplainer

EXAMPLE_TEXTS = (
    "a photo of a person",
    "a photo of an animal",
    "a photo of food",
    "a photo of a vehicle",
    "a photo of a building",
)
"""Classes of a network that compares texts and has been given none."""


class Ranked(NamedTuple):
    """A class and the probability that the classifier gives it."""

    label: int
    name: str
    probability: float


class MethodAnswer(NamedTuple):
    """A method's explanation of one image or, where two are compared, of both.

    Attributes:
        method: its name.
        seconds: that it took.
        explanation: what it answered.
    """

    method: str
    seconds: float
    explanation: Explanation


class Workbench:
    """Methods around one classifier, for one caller at a time.

    Args:
        methods: explainers of the same classifier, by the names that the page shows.

    Attributes:
        texts: the classes that a visit begins with, where classes are texts; otherwise empty.
        of_classes: names of the methods that explain a class.
        of_concepts: names of those that explain the embedding of a few images.
        of_pairs: names of those that explain the similarity of two images on both.
    """

    def __init__(self, methods: Mapping[str, Explainer]) -> None:
        self.methods = dict(methods)
        self.classifier: FrozenClassifier = next(iter(self.methods.values())).classifier
        self._lock = Lock()  # some methods put hooks on the classifier for the time of a call
        self.texts: tuple[str, ...] = ()
        if self.classifier.compares_texts:
            self.texts = tuple(self.classifier.source.get("classes") or EXAMPLE_TEXTS)
        self._learned = {name: _texts_of(one.classifier) for name, one in self.methods.items()}
        for name, one in self.methods.items():
            if not one.fixed_classes:
                self._tell_apart(name, self.texts)
        self.of_classes = [name for name, one in self.methods.items() if _explains_classes(one)]
        self.of_pairs = [
            name for name, one in self.methods.items() if isinstance(one, SimilarityExplainer)
        ]
        self.of_concepts = [name for name, one in self.methods.items() if _explains_concepts(one)]

    def class_names(self, texts: Sequence[str] = ()) -> list[str]:
        """Names of the classes, or the texts that take their place."""
        return list(texts or self.texts or self.classifier.class_names)

    def top_classes(
        self, image: Image.Image, texts: Sequence[str] = (), count: int = 5
    ) -> list[Ranked]:
        """The likeliest classes of an image, the likeliest first; none where there are no classes.

        Args:
            image: of any size.
            texts: the classes, instead of the classifier's own.
            count: the most to give.

        Raises:
            InputError: texts are no classes, or the classifier takes none.
        """
        if not self.classifier.num_classes:
            return []
        tensors, _, _ = to_batch(image, self.classifier.size, None)
        with self._lock:
            _compare(self.classifier, texts or self.texts)
            with torch.inference_mode():
                logits = self.classifier(tensors.to(self.classifier.mean))[0]
        probabilities = self.classifier.decision.probabilities(logits)
        best = probabilities.topk(min(count, len(probabilities)))
        names = self.class_names(texts)
        return [
            Ranked(label, names[label], probability)
            for probability, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    def why(
        self,
        methods: Sequence[str],
        image: Image.Image,
        label: int | None = None,
        texts: Sequence[str] = (),
    ) -> list[MethodAnswer]:
        """Explain a class of an image, by default the likeliest; raises as `Explainer.explain`.

        Args:
            methods: one or more of `of_classes`.
            image: of any size.
            label: of the class.
            texts: the classes, as for `top_classes`.
        """

        def explain(name: str, one: Explainer) -> Explanation:
            self._tell_apart(name, texts or self.texts)
            return one.explain(image, label)

        chosen = _some(methods, self.of_classes)
        return [self._timed(name, partial(explain, name)) for name in chosen]

    def where(
        self, methods: Sequence[str], image: Image.Image, concept: Sequence[Image.Image]
    ) -> list[MethodAnswer]:
        """Explain where an image shows the concept of a few other images.

        Raises:
            InputError: there are no images of the concept, or a method is unknown.
        """

        def explain(one: Explainer) -> Explanation:
            target = concept_embedding(self.classifier, concept, embed=one.embed)[None]
            return replace(one.explain(image, target), captions=["concept"])

        return [self._timed(name, explain) for name in _some(methods, self.of_concepts)]

    def alike(
        self, methods: Sequence[str], image: Image.Image, other: Image.Image
    ) -> list[MethodAnswer]:
        """Explain the similarity of two images on both; InputError if a method is unknown."""
        return [
            self._timed(name, lambda one: _pair(one, image, other))
            for name in _some(methods, self.of_pairs)
        ]

    def _tell_apart(self, name: str, texts: Sequence[str]) -> None:
        """Make a method explain texts; raises as `Explainer.tell_apart`."""
        explainer = self.methods[name]
        if explainer.fixed_classes and self._learned[name] != tuple(texts) and texts:
            explainer.tell_apart(texts)  # says why it cannot
        for network in frozen_networks(explainer).values():
            _compare(network, texts)

    def _timed(self, name: str, explain: Any) -> MethodAnswer:  # noqa: ANN401  a function of any method
        with self._lock, _named(name):
            start = time.perf_counter()
            explanation = explain(self.methods[name])
            return MethodAnswer(name, time.perf_counter() - start, explanation)


def _pair(explainer: Explainer, image: Image.Image, other: Image.Image) -> Explanation:
    if not isinstance(explainer, SimilarityExplainer):
        raise InputError(f"{type(explainer).__name__} compares no images")
    tensors, shown, _ = to_batch([image, other], explainer.classifier.size, None)
    tensors = tensors.to(explainer.device)
    target = explainer.embed(tensors[1:])
    scores = torch.cat(explainer.pair(tensors[:1], tensors[1:], target)).detach()
    similarity = float(explainer.similarity(tensors[:1], target))
    return Explanation(
        images=shown,
        map_list=at_sizes_of(shown, explainer.to_maps(scores)),
        score_list=at_sizes_of(shown, scores),
        target=explainer.embed(tensors).flip(0).cpu(),  # each is compared with the other one
        probabilities=torch.full((2,), torch.nan),
        captions=[f"the image: {explainer.metric} {similarity:.3f}", "the other image"],
        names=["image", "other"],
        signed=explainer.signed,
    )


def _some(methods: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    if not methods:
        raise InputError("no method is chosen; tick at least one")
    for name in methods:
        require_known("method", name, known)
    return methods


@contextmanager
def _named(method: str) -> Iterator[None]:
    """Put the method's name before the message of its InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{method}: {error}") from error


def _compare(network: FrozenClassifier, texts: Sequence[str]) -> None:
    """Make a network tell texts apart, unless it does; nothing without texts."""
    if texts and _texts_of(network) != tuple(texts):
        network.tell_apart(texts)


def _texts_of(network: FrozenClassifier) -> tuple[str, ...]:
    return tuple(network.source.get("classes") or ())


def _explains_classes(explainer: Explainer) -> bool:
    if not explainer.classifier.num_classes:
        return False
    return _takes(explainer, torch.zeros(1, dtype=torch.int64, device=explainer.device))


def _explains_concepts(explainer: Explainer) -> bool:
    black = explainer.classifier.mean.new_zeros(1, 3, *explainer.classifier.size)
    try:
        return _takes(explainer, explainer.embed(black))
    except InputError:  # the network has no embeddings
        return False


def _takes(explainer: Explainer, target: Tensor) -> bool:
    black = explainer.classifier.mean.new_zeros(1, 3, *explainer.classifier.size)
    try:
        explainer.resolve_target(black, target)
    except TargetError:
        return False
    return True
