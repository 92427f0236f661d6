"""The comparison of methods by metrics, on one data set and one classifier, under one protocol."""

import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from explainers.errors import InputError
from explainers.evaluation.comparison_results import Pictured, Progress, Results, first_of
from explainers.evaluation.costs import NO_TRAINING, Training, counted, device_name, with_costs
from explainers.evaluation.evaluator import REFERENCE, Batch, Evaluator, Method
from explainers.evaluation.records import Row, annotate
from explainers.evaluation.response_curves import curves_of
from explainers.evaluation.responses import Known
from explainers.evaluation.retrieval import match_accuracy, prototypes
from explainers.evaluation.seeds import training_of_all, with_seeds
from explainers.images.labelled_maps import LabelledMap
from explainers.images.normalisation import min_max

FORMAT = 5
"""Of the progress of a comparison that was stopped; progress of another format is not read."""


class Comparison:
    """Scores methods on the same images, batch by batch: each is read and classified once.

    Every method explains the class that the classifier predicts or, where batches have them, the
    classes that they ask for (`target`), or the embedding that the method makes of an image to
    compare with (`reference`), or of several. What is done is kept in `folder/.progress`: a run
    with the same settings goes on where the last one was stopped.

    Args:
        evaluator: the metrics, with a row for each method.
        methods: by the name of their row.
        batches: in a fixed order, every image once, each with its `key`; may be read repeatedly.
        protocol: plain values that say what the figures depend on besides: data, metrics, weights;
            and `target`, where batches have one.
        folder: where progress is kept.
        pictured: positions of the images that `Results.pictures` has.
        trainings: what it took to train a method, by its name; for learned explainers that are not
            there it is not known, and the other methods need none.
        seeds: by the name of a row that several trainings make together, the names of these.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        methods: Mapping[str, Method],
        batches: Iterable[Batch],
        protocol: dict[str, Any],
        folder: Path,
        pictured: Sequence[int] = range(6),
        trainings: Mapping[str, Training] | None = None,
        seeds: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.methods = methods
        self.batches = batches
        self.protocol = evaluator.protocol | protocol
        self.folder = folder
        self.pictured = pictured
        self.trainings = {
            name: Training() if getattr(method, "needs_training", False) else NO_TRAINING
            for name, method in methods.items()
        } | dict(trainings or {})
        self.seeds = dict(seeds or {})
        self.trainings |= {
            name: training_of_all([self.trainings[member] for member in members])
            for name, members in self.seeds.items()
        }

    def run(self) -> Results:
        """Score all methods; raises InputError if the classifier has neither classes nor targets."""
        progress = self._score()
        rows = [self._row(name, done) for name, done in progress.items()]
        device = device_name(self.evaluator.classifier.mean.device)
        records = [record for done in progress.values() for record in done.records]
        rows, records = with_seeds(rows, records, self.seeds)
        protocol = self.protocol | {"device": device}
        if any(record["target"] == REFERENCE for record in records):
            protocol = protocol | {"target": "the method's embedding of the image's reference"}
        return Results(
            protocol,
            with_costs(rows, self.trainings, device),
            records,
            match_accuracy(self.batches, self.evaluator.classifier.embed),
            self._pictures(progress),
        )

    def _pictures(self, progress: Mapping[str, Progress]) -> list[Pictured]:
        """The pictured images with the maps of each row; of several trainings, of the first."""
        first = {members[0]: name for name, members in self.seeds.items()}
        others = {member for members in self.seeds.values() for member in members[1:]}
        shown = {name: done.pictures for name, done in progress.items() if name not in others}
        positions = sorted({position for of in shown.values() for position in of})
        shown = {name: of for name, of in shown.items() if len(of) == len(positions)}
        return [
            self._pictured({first.get(name, name): (name, of[at]) for name, of in shown.items()})
            for at in (positions if shown else ())
        ]

    @torch.no_grad()
    def _pictured(self, shown: Mapping[str, tuple[str, dict[str, Any]]]) -> Pictured:
        """An image, from the method and what was kept of it, by row."""
        classifier, one = self.evaluator.classifier, next(iter(shown.values()))[1]
        image, target = one["image"], one["target"]
        caption, probability = REFERENCE, math.nan
        if not target.is_floating_point():
            caption = classifier.class_names[int(target)]
            logits = classifier(image[None].to(classifier.mean.device)).cpu()
            probability = float(classifier.decision.probability_of(target[None], logits))
        maps = {}
        for row, (name, kept) in shown.items():
            method, scores = self.methods[name], kept["scores"]
            words = (caption, probability, row, getattr(method, "map_meaning", ""))
            signed = getattr(method, "signed", False)
            maps[row] = LabelledMap(image, min_max(scores[None])[0], scores, *words, signed)
        return Pictured(one["key"], image, maps, one.get("reference"))

    def _score(self) -> dict[str, Progress]:
        """Score the batches that an earlier run has not done, each with one method after another."""
        files = {name: self._file(name) for name in self.methods}
        progress = {name: self._resumed(name, file) for name, file in files.items()}
        for index, batch in enumerate(tqdm(self.batches, desc="comparing", unit="batch")):
            shared = None
            for name, done in progress.items():
                if index < done.batches:
                    continue
                if len(batch["image"]):  # else none of them could be read
                    if "reference" not in batch:
                        shared = shared or self._classified(batch)
                    self._score_batch(name, batch, *(shared or self._matched(name, batch)), done)
                done.batches = index + 1
                self._keep(name, done, files[name])
        return progress

    def _file(self, name: str) -> Path:
        """The file of a row's progress, named by all that its figures depend on."""
        kept = {"row": name, "format": FORMAT, "pictured": list(self.pictured)}
        settings = json.dumps(self.protocol | kept, sort_keys=True, default=str)
        digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
        path = self.folder / ".progress" / f"{digest}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _resumed(self, name: str, path: Path) -> Progress:
        """The progress of a row that an earlier run has kept, or none."""
        scoreboard = self.evaluator.scoreboards[name]
        for metric in scoreboard.values():
            metric.persistent(True)  # what is interrupted goes on from the metrics' states
        if not path.is_file():
            return Progress()
        state = torch.load(path, weights_only=True)
        scoreboard.load_state_dict(state["scoreboard"])
        return Progress(**state["progress"])

    def _keep(self, name: str, done: Progress, path: Path) -> None:
        scores = self.evaluator.scoreboards[name].state_dict()
        aside = path.with_suffix(".part")
        torch.save({"progress": asdict(done), "scoreboard": scores}, aside)
        aside.replace(path)

    def _score_batch(
        self,
        name: str,
        batch: Batch,
        target: Tensor,
        known: Known,
        done: Progress,
    ) -> None:
        """Score a batch; if the method fails on it, each of its images alone."""
        method, images = self.methods[name], batch["image"]
        started = time.perf_counter()
        try:
            with counted(self.evaluator.classifier) as passes:
                scores = method(images, target).detach()
        except Exception as error:  # noqa: BLE001  whatever a foreign method raises is reported
            if len(images) > 1:
                for index in range(len(images)):
                    one = slice(index, index + 1)
                    alone = {part: value[one] for part, value in batch.items()}
                    answers = {need: type(a)(*(x[one] for x in a)) for need, a in known.items()}
                    self._score_batch(name, alone, target[one], answers, done)
                return
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            done.failures.append({"key": batch["key"][0], "reason": reason})
            tqdm.write(f"{name} failed on {batch['key'][0]}: {reason}")
            return
        done.seconds += time.perf_counter() - started
        done.passes += passes[0]
        first = done.images
        records = self.evaluator.update(name, method, batch, target, scores, known)
        for index, record in enumerate(records):
            for metric, curves in self.evaluator.scoreboards[name].curves.items():
                pair = (len(done.records), curves[index].cpu())
                done.curves.setdefault(metric, []).append(pair)
            done.records.append(record)
        for index in range(len(images)):
            if first + index in self.pictured:
                shown = {
                    "key": (batch.get("key") or [""] * len(images))[index],
                    "image": images[index].cpu(),
                    "target": target[index].cpu(),
                    "scores": scores[index].float().cpu(),
                }
                if "reference" in batch:
                    shown["reference"] = first_of(batch["reference"][index]).cpu()
                done.pictures[first + index] = shown

    def _matched(self, name: str, batch: Batch) -> tuple[Tensor, Known]:
        """The embeddings (b d) that a method makes of a batch's references."""
        return prototypes(batch["reference"], self.evaluator.embed_of(self.methods[name])), {}

    def _classified(self, batch: Batch) -> tuple[Tensor, Known]:
        """A batch's own or predicted classes (b), and the responses to its whole images."""
        classifier = self.evaluator.classifier
        if not classifier.num_classes:
            raise InputError(f"{classifier.name} has no classes; set references: nearest, for one")
        return self.evaluator.unmasked(batch["image"], batch.get("target"))

    def _row(self, name: str, done: Progress) -> Row:
        images = max(1, len(done.records))
        figures = self.evaluator.figures(name, done.records)
        row = annotate({"explainer": name} | figures, done.records)
        if curves := curves_of(done.curves, done.records):
            row["curves"] = curves
        return row | {
            "seconds_per_image": done.seconds / images,
            "classifier_passes_per_image": done.passes / images,
            "images": len(done.records),
            "failed": done.failures,
        }
