"""Maps of a teacher, each computed once for an image and a class and kept on a disk."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.base import Explainer
from explainers.classifier import frozen_networks
from explainers.classifier.weight_files import fingerprint_of
from explainers.errors import InputError
from explainers.images.normalisation import min_max
from explainers.training.tensor_files import TensorFiles, pixel_digest, room_in
from explainers.training.trained_weights import STARTING_POINT, trained_state

NORMALISATIONS = {
    "minmax": "each map stretched from its minimum to its maximum, without its sign",
    "rms": "each map divided by its root mean square, with its sign",
    "answered": "as the teacher answers, in its own units and with its sign",
}
"""Scales of the maps that a student learns, in words."""

FOUND_BY_WEIGHTS = {"classifier", "auxiliary", *STARTING_POINT}
"""Settings of a teacher that are known better by the SHA-256 of their weights."""


class TeacherMaps:
    """A teacher's scores at reduced size, and the classes that images are explained for.

    A file of float16 for each image and class, relative to the largest score, and one for each
    image's classes; both are named by the image's pixels. What the teacher answers now and what is
    read later are the same numbers.

    Args:
        teacher: asked for what is not there yet, in eval mode and float32.
        size: of a map's longer side, at most.
        files: where maps are kept; None keeps none.

    Attributes:
        asked: how many maps were needed.
        found: how many of these were there.
    """

    def __init__(self, teacher: Explainer, size: int, files: TensorFiles | None = None) -> None:
        self.teacher = teacher.eval()
        self.size = size
        self.files = files
        self.asked = self.found = 0

    @classmethod
    def in_folder(
        cls, teacher: Explainer, size: int, folder: Path, limit: float, processes: int = 1
    ) -> "TeacherMaps":
        """Maps in a folder that other teachers may share.

        Args:
            teacher: see above.
            size: likewise.
            folder: of all teachers' maps.
            limit: of this folder, in GiB; maps beyond it are computed each time.
            processes: how many write to it.
        """
        room = room_in(folder, limit, processes)
        folder = folder / _identity(teacher, size)
        way_out = (
            f"maps that are not in {folder} are computed each time; raise teacher_maps_limit, or "
            "give teacher_maps a disk with more room"
        )
        return cls(teacher, size, TensorFiles(folder, room, "the folder of teacher maps", way_out))

    @torch.no_grad()
    def maps(self, images: Tensor, classes: Tensor) -> Tensor:
        """The teacher's scores (b n _ _) for images (b 3 h w) and classes (b n).

        Raises:
            InputError: the teacher answers with scores that are NaN or infinite.
        """
        digests = [pixel_digest(image) for image in images]
        rows = [
            [f"{digest}-{label}" for label in labels]
            for digest, labels in zip(digests, classes.tolist(), strict=True)
        ]
        known: dict[str, Tensor] = {}
        new: dict[str, tuple[int, int]] = {}
        for row, names in enumerate(rows):
            for column, name in enumerate(names):
                if (kept := self._load(name, ("map", "largest"))) is not None:
                    known[name] = kept[0].float() * kept[1]
                else:
                    new[name] = row, column
        self.asked += classes.numel()
        self.found += classes.numel() - len(new)
        if new:
            known |= self._ask(images, classes, new)
        return torch.stack([torch.stack([known[name] for name in names]) for names in rows]).to(
            images
        )

    @torch.no_grad()
    def classes(self, images: Tensor, count: int, read: Callable[[Tensor], Tensor]) -> Tensor:
        """The `count` likeliest classes (b n); `read` gives logits of images that are not known."""
        names = [f"{pixel_digest(image)}-top{count}" for image in images]
        known = {name: kept[0] for name in names if (kept := self._load(name, ("classes",)))}
        new = [index for index, name in enumerate(names) if name not in known]
        if new:
            for index, labels in zip(new, likeliest(read(images[new]), count), strict=True):
                known[names[index]] = labels
                self._keep(names[index], {"classes": labels})
        return torch.stack([known[name].to(images.device) for name in names])

    def _ask(
        self, images: Tensor, classes: Tensor, new: dict[str, tuple[int, int]]
    ) -> dict[str, Tensor]:
        """Maps of what is new, by name: those of the teacher, as they will be read."""
        rows, columns = torch.tensor(list(new.values()), device=classes.device).unbind(dim=1)
        with torch.autocast(images.device.type, enabled=False):
            scores = self.teacher(images[rows], classes[rows, columns]).detach()
        if not scores.isfinite().all():
            raise InputError(
                f"the teacher, {type(self.teacher).__name__}, answers with scores that are NaN or "
                "infinite; choose other settings of it, or another teacher"
            )
        known = {}
        for name, one in zip(new, self._reduced(scores)[:, 0].float().cpu(), strict=True):
            largest = one.abs().amax()
            half = (one / largest.clamp(min=torch.finfo(one.dtype).tiny)).half()
            self._keep(name, {"map": half, "largest": largest})
            known[name] = half.float() * largest
        return known

    def _reduced(self, scores: Tensor) -> Tensor:
        """Scores (b 1 h w) of which the longer side is at most `size`, as means."""
        longer = max(scores.shape[-2:])
        if longer <= self.size:
            return scores
        sides = [max(1, round(side * self.size / longer)) for side in scores.shape[-2:]]
        return F.adaptive_avg_pool2d(scores, (sides[0], sides[1]))

    def _load(self, name: str, keys: Sequence[str]) -> list[Tensor] | None:
        kept = self.files.load(name) if self.files else None
        return [kept[key] for key in keys] if kept is not None and kept.keys() >= {*keys} else None

    def _keep(self, name: str, tensors: dict[str, Tensor]) -> None:
        if self.files:
            self.files.keep(name, tensors)


def likeliest(logits: Tensor, count: int) -> Tensor:
    """The `count` likeliest classes (b count) of logits (b classes), the first one first."""
    return logits.topk(count, dim=1).indices


def normalised(maps: Tensor, normalisation: str) -> Tensor:
    """Bring a teacher's scores (b n h w) to the scale that a key of `NORMALISATIONS` names."""
    if normalisation == "minmax":
        return min_max(maps)
    if normalisation == "rms":
        square = maps.square().mean((2, 3), keepdim=True)
        return maps / square.sqrt().clamp(min=torch.finfo(maps.dtype).tiny)
    return maps


def _identity(teacher: Explainer, size: int) -> str:
    """A name for what maps depend on beside the image and the class."""
    settings = {
        name: value
        for name, value in teacher.hparams.items()
        if name not in FOUND_BY_WEIGHTS and name != "chunk_size"  # how many at once
    }
    networks = [
        (name, network.fingerprint(), network.mean.tolist(), network.std.tolist(), network.decision)
        for name, network in frozen_networks(teacher).items()
    ]
    own = fingerprint_of(trained_state(teacher))
    what = [type(teacher).__name__, sorted(settings.items()), networks, own, size]
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]
