"""Teachers: explainers by class and arguments, built around the classifier of a student."""

import json
from collections.abc import Mapping
from typing import Any

import torch

from explainers.base import Explainer
from explainers.classifier import FrozenClassifier
from explainers.classifier.seeding import seeded
from explainers.errors import InputError, TargetError, shown
from explainers.from_config import build


def teacher_description(teacher: object) -> dict[str, Any]:
    """A teacher's `class_path` and `init_args` as plain values.

    Its class is not imported: a bundle loads where the teacher's packages are missing.

    Raises:
        InputError: it is described by anything else, or by a classifier of its own.
    """
    rule = (
        "teacher must be the class_path and init_args of an explainer, in plain values and without "
        f"the classifier, which is the student's, got {shown(teacher)}"
    )
    if not isinstance(teacher, Mapping) or not {*teacher} <= {"class_path", "init_args"}:
        raise InputError(rule)
    init_args = teacher.get("init_args") or {}
    named = isinstance(teacher.get("class_path"), str) and isinstance(init_args, Mapping)
    if not named or "classifier" in init_args:
        raise InputError(rule)
    try:
        plain = json.loads(json.dumps(dict(init_args)))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(rule) from error
    return {"class_path": teacher["class_path"], "init_args": plain}


def build_teacher(description: Mapping[str, Any], classifier: FrozenClassifier) -> Explainer:
    """The teacher, with the same weights each time where it draws any.

    Raises:
        InputError: there is no such explainer, it refuses its arguments or the classifier, or it
            explains no classes.
    """
    with seeded(0):
        teacher: Explainer = build(description, Explainer, classifier=classifier)
    image = torch.zeros(1, 3, *classifier.size, device=classifier.mean.device)
    try:
        teacher.resolve_target(image, torch.zeros(1, dtype=torch.int64, device=image.device))
    except TargetError as error:
        raise InputError(
            f"{description['class_path']} cannot be a teacher of maps of classes: {error}; choose "
            "an explainer of classes"
        ) from error
    return teacher
