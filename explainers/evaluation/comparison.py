"""Methods times metrics, on one data set and one classifier, under one protocol."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from explainers.base import Explainer
from explainers.bundle.durable_files import write_aside
from explainers.classifier import FrozenClassifier
from explainers.errors import InputError
from explainers.evaluation.costs import (
    NO_TRAINING,
    Training,
    counted,
    device_name,
    sentences,
    with_costs,
)
from explainers.evaluation.records import PROTOCOL, Row, annotate, as_json, write_records
from explainers.evaluation.response_curves import curves_of
from explainers.evaluation.retrieval import match_accuracy, prototypes
from explainers.evaluation.scoreboard import Case, Scoreboard
from explainers.images.drawing import overlay
from explainers.images.normalisation import min_max
from explainers.report.html_report import report
from explainers.report.panel import columns_of, write_panel
from explainers.report.table import table
from explainers.training.learned_explainer import LearnedExplainer

Batch = dict[str, Any]
Method = Callable[[Tensor, Tensor], Tensor]
"""Maps images (b 3 h w) and labels (b), or references (b d), to scores (b 1 h w): an explainer, or
a plain function."""

FORMAT = 2
"""Of what is kept of a comparison that was stopped; what has another is not read."""

REFERENCE = "reference"
"""What stands for the target in records where it is an embedding."""


@dataclass
class Progress:
    """What is known of one method so far; kept on disk after every batch."""

    batches: int = 0
    seconds: float = 0.0
    passes: int = 0
    records: list[Row] = field(default_factory=list)
    curves: dict[str, list[tuple[int, Tensor]]] = field(default_factory=dict)
    failures: list[Row] = field(default_factory=list)
    pictures: list[Tensor] = field(default_factory=list)


class Comparison:
    """Scores methods on the same images, one method after the other.

    Every method explains the class that the classifier predicts or, where batches have an image to
    compare with (`reference`), or several, the embedding that the method makes of it. Every map is stretched
    from its own minimum to its own maximum, so that none gains by its scale. What is done is kept in
    `output/.progress`: a run with the same settings goes on where the last one was stopped.

    Args:
        classifier: what is explained.
        methods: by the name of their row.
        batches: in a fixed order, every image once, each with its `key`; may be read repeatedly.
        scoreboards: a new scoreboard a method.
        protocol: plain values that say what the figures depend on besides: data, metrics, weights.
        output: folder for results.json, table.md, records.csv, panel.png and report.html.
        panel_images: how many images panel.png shows.
        trainings: what it took to train a method, by its name; of learned explainers that are not
            there it is not known, and the other methods need none.
    """

    def __init__(
        self,
        classifier: FrozenClassifier,
        methods: Mapping[str, Method],
        batches: Iterable[Batch],
        scoreboards: Callable[[str], Scoreboard],
        protocol: dict[str, Any],
        output: Path,
        panel_images: int = 6,
        trainings: Mapping[str, Training] | None = None,
    ) -> None:
        self.classifier = classifier
        self.methods = methods
        self.batches = batches
        self.scoreboards = scoreboards
        self.protocol = PROTOCOL | {"map": "min-max of each image's scores"} | protocol
        self.output = output
        self.panel_images = panel_images
        self.trainings = {
            name: Training() if isinstance(method, LearnedExplainer) else NO_TRAINING
            for name, method in methods.items()
        } | dict(trainings or {})
        self.accuracy: Row | None = None

    def run(self) -> list[Row]:
        """Score all methods and write the files.

        Returns:
            One row a method, as in results.json.
        """
        rows, progress = [], {}
        for name, method in self.methods.items():
            scoreboard = self.scoreboards(name)
            for metric in scoreboard.values():
                metric.persistent(True)  # what is interrupted goes on from the metrics' states
            progress[name] = self._score(name, method, scoreboard)
            rows.append(_row(name, progress[name], scoreboard))
        device = device_name(self.classifier.mean.device)
        rows = with_costs(rows, self.trainings, device)
        records = [record for done in progress.values() for record in done.records]
        protocol = self.protocol | {"device": device}
        if any(record["target"] == REFERENCE for record in records):
            protocol = protocol | {"target": "the method's embedding of the image's reference"}
        results: Row = {"protocol": protocol, "rows": rows}
        self.accuracy = match_accuracy(self.batches, self.classifier.embed)
        if self.accuracy is not None:
            results["references"] = self.accuracy
        write_aside(self.output / "results.json", json.dumps(as_json(results), indent=2).encode())
        text = "\n".join([table(rows), "", *(f"- {sentence}" for sentence in sentences(rows))])
        write_aside(self.output / "table.md", (text.strip() + "\n").encode())
        write_records(records, self.output / "records.csv")
        pictures = {name: done.pictures for name, done in progress.items()}
        columns = columns_of(self.batches, pictures, self.panel_images)
        write_panel(columns, self.output / "panel.png")
        page = report(as_json(results), columns)
        write_aside(self.output / "report.html", page.encode())
        return rows

    def _score(self, name: str, method: Method, scoreboard: Scoreboard) -> Progress:
        kept = {"row": name, "format": FORMAT}
        settings = json.dumps(self.protocol | kept, sort_keys=True, default=str)
        digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
        path = self.output / ".progress" / f"{digest}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        done = Progress()
        if path.is_file():
            state = torch.load(path, weights_only=True)
            done = Progress(**state["progress"])
            scoreboard.load_state_dict(state["scoreboard"])
        for index, batch in enumerate(tqdm(self.batches, desc=name, unit="batch")):
            if index < done.batches:
                continue
            self._score_batch(name, method, batch, scoreboard, done)
            done.batches = index + 1
            aside = path.with_suffix(".part")
            torch.save({"progress": asdict(done), "scoreboard": scoreboard.state_dict()}, aside)
            aside.replace(path)
        return done

    def _score_batch(
        self, name: str, method: Method, batch: Batch, scoreboard: Scoreboard, done: Progress
    ) -> None:
        """Score a batch; if the method fails on it, each of its images alone."""
        images = batch["image"]
        if not len(images):  # none of them could be read
            return
        labels = self._targets(method, batch)
        started = time.perf_counter()
        try:
            with counted(self.classifier) as passes:
                scores = method(images, labels).detach()
        except Exception as error:  # noqa: BLE001  whatever a foreign method raises is reported
            if len(images) > 1:
                for index in range(len(images)):
                    one = {part: value[index : index + 1] for part, value in batch.items()}
                    self._score_batch(name, method, one, scoreboard, done)
                return
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            done.failures.append({"key": batch["key"][0], "reason": reason})
            tqdm.write(f"{name} failed on {batch['key'][0]}: {reason}")
            return
        done.seconds += time.perf_counter() - started
        done.passes += passes[0]
        case = Case(
            images, labels, scores, min_max(scores), self.classifier, method,
            mask=batch.get("mask"), box=batch.get("box"), other_mask=batch.get("other_mask"),
            embed=self._embed(method) if "reference" in batch else None,
        )  # fmt: skip
        values = scoreboard.update(case)
        areas = 100 * case.maps.mean((1, 2, 3)).where(values["map_left_out"] == 0, torch.nan)
        for index, key in enumerate(batch["key"]):
            for metric, curves in scoreboard.curves.items():
                pair = (len(done.records), curves[index].cpu())
                done.curves.setdefault(metric, []).append(pair)
            scored = {metric: float(value[index]) for metric, value in values.items()}
            record: Row = {"key": key, "explainer": name}
            if "group" in batch:
                record["group"] = batch["group"][index]
            record["target"] = REFERENCE if "reference" in batch else int(labels[index])
            done.records.append(record | scored | {"map_area": float(areas[index])})
        room = max(0, self.panel_images - len(done.pictures))
        for image, one in zip(images[:room], case.maps[:room], strict=True):
            done.pictures.append(overlay(image[None], one[None])[0])

    @torch.no_grad()
    def _targets(self, method: Method, batch: Batch) -> Tensor:
        """The predicted classes (b), or what a method makes of the references (b d)."""
        if "reference" not in batch:
            if not self.classifier.num_classes:
                name = self.classifier.name
                raise InputError(f"{name} has no classes; set references: nearest, for one")
            logits: Tensor = self.classifier(batch["image"])
            return logits.argmax(dim=1)
        return prototypes(batch["reference"], self._embed(method))

    def _embed(self, method: Method) -> Callable[[Tensor], Tensor]:
        return method.embed if isinstance(method, Explainer) else self.classifier.embed


def _row(name: str, done: Progress, scoreboard: Scoreboard) -> Row:
    images = max(1, len(done.records))
    areas = [record["map_area"] for record in done.records]
    figures = scoreboard.compute() | {"map_area": float(torch.tensor(areas).nanmean())}
    row = annotate({"explainer": name} | figures, done.records)
    if curves := curves_of(done.curves, done.records):
        row["curves"] = curves
    return row | {
        "seconds_per_image": done.seconds / images,
        "classifier_passes_per_image": done.passes / images,
        "images": len(done.records),
        "failed": done.failures,
    }
