"""Two processes against one: forward passes here, whole trainings in tests/train/test_scale.py."""

import pytest
import torch
from torch import nn

from explainers import LCAM, PTAME, TAME, MaskingUNet, PTAMEPlus, ShapleyExplainer
from explainers.classifier.decision import Decision
from explainers.training.class_draw import drawn_classes, listed
from explainers.training.distributed import BatchNorm2d, first_of, means, of_all, uniform

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


def test_labels_of_all_processes_come_in_the_order_of_their_ranks(in_two_processes):
    def work(rank):
        labels = torch.tensor([[3, 1], [0, 2]])[rank]
        return {"all": of_all(labels), "first": first_of(labels)}

    for rank, answer in enumerate(in_two_processes(work)):
        assert answer["all"].tolist() == [3, 1, 0, 2]
        assert answer["first"] == 2 * rank
    assert of_all(torch.tensor([5])).tolist() == [5]
    assert first_of(torch.tensor([5])) == 0


def test_means_count_what_is_known(in_two_processes):
    def work(rank):
        nan = torch.tensor(torch.nan)
        one = torch.tensor(float(rank))
        return means({"both": one, "first": nan if rank else one + 3, "none": nan})

    for answer in in_two_processes(work):
        assert answer["both"] == 0.5
        assert answer["first"] == 3
        assert answer["none"].isnan()


def test_random_numbers_of_two_processes_are_those_of_one(in_two_processes):
    answers = in_two_processes(
        lambda rank: {
            "numbers": uniform(torch.zeros(3), 5, 2),
            "drawn": drawn_classes(Decision("sigmoid"), torch.ones(3, 7), 5),
        }
    )
    numbers = torch.cat([one["numbers"] for one in answers])
    assert torch.equal(numbers, uniform(torch.zeros(6), 5, 2))
    drawn = torch.cat([one["drawn"] for one in answers])
    assert torch.equal(drawn, drawn_classes(Decision("sigmoid"), torch.ones(6, 7), 5))


def test_listed_classes_are_as_many_in_every_process(in_two_processes):
    logits = torch.tensor([[2.0, -1.0, -3.0], [2.0, 1.0, 3.0]])
    labels, shown = torch.tensor([0, 1]), logits > 0

    def work(rank):
        own = slice(rank, rank + 1)
        return {"listed": listed(shown[own], labels[own], logits[own], 8)}

    answers = in_two_processes(work)
    both = torch.cat([answer["listed"] for answer in answers])
    assert both.tolist() == listed(shown, labels, logits, 8).tolist() == [[0, 0, 0], [1, 2, 0]]


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_of_two_processes_is_that_of_one(in_two_processes, affine):
    features = 5 + 2 * torch.randn(4, 3, 5, 6, dtype=torch.float64)
    ours, theirs = BatchNorm2d(3, affine=affine).double(), nn.BatchNorm2d(3, affine=affine).double()
    if affine:
        with torch.no_grad():
            ours.weight.uniform_()
            ours.bias.uniform_()
    theirs.load_state_dict(ours.state_dict())

    def work(rank):
        result = ours(features[2 * rank : 2 * rank + 2]).detach()
        return {"result": result} | ours.state_dict()

    answers = in_two_processes(work)
    expected = theirs(features).detach()
    torch.testing.assert_close(torch.cat([one["result"] for one in answers]), expected)
    for name, value in theirs.state_dict().items():
        for answer in answers:
            torch.testing.assert_close(answer[name], value)
    ours.eval()
    theirs.load_state_dict(ours.state_dict())
    theirs.eval()
    assert torch.equal(ours(features), theirs(features))  # alone, and in evaluation, it is torch's


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (PTAME, {"auxiliary": SOURCE}),
        (TAME, {}),
        (LCAM, {"threshold_weight": 1.0}),
        (PTAMEPlus, {}),
        (PTAMEPlus, {"threshold_weight": 1.0}),
        (PTAMEPlus, {"mosaics": 2, "feature_sums": 4}),
        (MaskingUNet, {"threshold_weight": 1.0, "fills": ["coloured_noise"]}),
        (ShapleyExplainer, {}),
        (MaskingUNet, {"preset": "nn_explainer", "absent_share": 0.5, "activation": "sigmoid"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value.__name__,
)
def test_the_objective_of_two_processes_is_that_of_one_with_both_batches(
    in_two_processes, kind, options, monkeypatch
):
    monkeypatch.setattr("explainers.training.mosaics.SURE", 0.3)
    options = dict(options)
    source = SOURCE | {"activation": options.pop("activation", "softmax")}
    explainer = kind(source, **options).double().train()
    images = torch.rand(6, 3, 64, 64, dtype=torch.float64)
    labels = torch.tensor([0, 2, 1, 0, 3, 0])

    @torch.no_grad()
    def losses(chosen):
        own = labels[chosen]
        logits = explainer.classifier(images[chosen])
        masks = explainer.network.draw(
            explainer.network.read(images[chosen]), explainer.step_classes(own, logits)
        )
        return explainer.losses(images[chosen], own, masks, logits)

    state = {name: value.clone() for name, value in explainer.state_dict().items()}
    mosaics = getattr(explainer, "mosaics", 0)
    explainer.mosaics = 2 * mosaics  # two processes draw twice as many
    expected = losses(slice(None))
    explainer.mosaics = mosaics
    explainer.load_state_dict(state)
    answers = in_two_processes(lambda rank: losses(slice(3 * rank, 3 * rank + 3)))
    assert expected
    for name, value in expected.items():
        torch.testing.assert_close((answers[0][name] + answers[1][name]) / 2, value)
