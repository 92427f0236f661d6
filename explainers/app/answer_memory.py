"""Memory of the web page's answers: the latest ones, up to a number of bytes."""

import weakref
from collections.abc import Sequence
from threading import Lock

from torch import Tensor

from explainers.app.workbench import MethodAnswer

ANSWERS_KEPT = 256 << 20  # bytes; about 25 answers for photographs of the largest size


class Answers(list[MethodAnswer]):
    """Answers of several methods; empty once they are forgotten."""


class AnswerMemory:
    """Keeps answers up to a number of bytes; beyond, the earliest of anyone are forgotten.

    Args:
        limit: bytes of their tensors; the latest answers are kept even if they have more.
    """

    def __init__(self, limit: int = ANSWERS_KEPT) -> None:
        self.limit = limit
        self._lock = Lock()
        self._kept: list[tuple[weakref.ref[Answers], int]] = []  # the earliest first

    def keep(self, answers: Sequence[MethodAnswer]) -> Answers:
        """Answers that are emptied when later ones need their room."""
        kept = Answers(answers)
        with self._lock:
            self._kept = [one for one in self._kept if one[0]()]
            self._kept.append((weakref.ref(kept), sum(map(_bytes, kept))))
            while len(self._kept) > 1 and sum(size for _, size in self._kept) > self.limit:
                reference, _ = self._kept.pop(0)
                if (earliest := reference()) is not None:
                    earliest.clear()
        return kept


def _bytes(answer: MethodAnswer) -> int:
    found = answer.explanation
    tensors: list[Tensor] = [*found.images, *found.map_list, *found.score_list]
    return sum(one.nbytes for one in tensors)
