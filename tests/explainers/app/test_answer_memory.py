import torch

from explainers.app.answer_memory import AnswerMemory
from explainers.app.workbench import MethodAnswer
from explainers.explanation import Explanation


def answer(name):
    """An answer with tensors of 4 * (3 + 1 + 1) * 10 * 10 = 2000 bytes."""
    image, flat = torch.zeros(3, 10, 10), torch.zeros(1, 10, 10)
    none = torch.zeros(1)
    return MethodAnswer(name, 0.0, Explanation([image], [flat], [flat], none, none, ["a"], ["b"]))


def test_the_earliest_answers_make_room_for_later_ones():
    memory = AnswerMemory(4000)
    first, second = memory.keep([answer("first")]), memory.keep([answer("second")])
    assert [one.method for one in (*first, *second)] == ["first", "second"]
    third = memory.keep([answer("third")])
    assert [len(one) for one in (first, second, third)] == [0, 1, 1]


def test_answers_that_nobody_holds_take_no_room():
    memory = AnswerMemory(4000)
    memory.keep([answer("unheld")])
    held = [memory.keep([answer("first")]), memory.keep([answer("second")])]
    assert [len(one) for one in held] == [1, 1]


def test_the_latest_answers_stay_however_large():
    kept = AnswerMemory(10).keep([answer("a"), answer("b")])
    assert [one.method for one in kept] == ["a", "b"]
