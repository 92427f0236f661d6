import pytest
import torch
import torch.nn.functional as F

from explainers import FrozenClassifier, PTAMEPlus
from explainers.errors import InputError
from explainers.heads.evidence_head import EVIDENCE, EvidenceHead, evidence_maps


@pytest.fixture
def classifier():
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=4).double()
    torch.nn.init.normal_(classifier.model.get_classifier().weight, std=1.0)
    return classifier


@pytest.fixture
def deepest(classifier, images):
    return classifier.features(images.double(), [-1])[0]


def standardised(values, least):
    return (values - values.mean()) / (values.std(correction=0) + least)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_maps_are_what_each_place_says_of_the_class(classifier, deepest, activation):
    network = FrozenClassifier(classifier.model, activation=activation)
    labels = torch.tensor([[2, 0], [1, 3], [3, 0]])
    found = evidence_maps(network, deepest, labels)
    rows, bias = network.class_weights, network.class_bias
    exclusive = activation == "softmax"
    for image, features in enumerate(deepest):
        pooled = features.mean((1, 2)) @ rows.T + bias
        for position, label in enumerate(labels[image].tolist()):
            own = torch.einsum("chw,c->hw", features, rows[label])
            others = [other for other in range(4) if other != label]
            rivals = pooled[others].softmax(0) @ rows[others] if exclusive else 0
            direction = (rows[label] - rivals) / rows.std()
            odds = standardised(torch.einsum("chw,c->hw", features, direction), 0.01)
            at_places = torch.einsum("chw,kc->khw", features, rows) + bias[:, None, None]
            if exclusive:
                at_places, of_image = at_places.log_softmax(0), pooled.log_softmax(0)
            else:
                at_places, of_image = F.logsigmoid(at_places), F.logsigmoid(pooled)
            positive = own.clamp(min=0)
            expected = [
                odds,
                standardised(own, 1e-3),
                positive / positive.max() if positive.any() else positive,
                at_places[label] / 4,
                at_places[label].exp(),
                (of_image[label] / 2).expand_as(own),
            ]
            for one, other in zip(found[image, position], expected, strict=True):
                torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-6)


def test_untrained_mask_is_the_log_odds_where_the_activation_map_is_positive():
    evidence = torch.randn(2, 3, EVIDENCE, 4, 5, dtype=torch.float64)
    evidence[:, :, 2] = evidence[:, :, 2].relu()
    evidence[:, :, 2] /= evidence[:, :, 2].amax(dim=(2, 3), keepdim=True)
    masks = EvidenceHead(8).double()(evidence).sigmoid()
    assert masks.shape == (2, 3, 8, 10)
    for image in range(2):
        for position in range(3):
            maps = evidence[image, position][None]
            odds, activation = (
                F.interpolate(maps[:, [channel]], (8, 10), mode="bilinear")[0, 0]
                for channel in (0, 2)
            )
            expected = (2 * odds - 1).sigmoid() ** 0.6 * ((activation + 0.001) / 1.001) ** 0.6
            torch.testing.assert_close(masks[image, position], expected, atol=1e-6, rtol=1e-5)
    nothing = evidence[:, :, 2:3].expand(-1, -1, EVIDENCE, -1, -1) * 0
    assert EvidenceHead(8).double()(nothing).sigmoid().max() < 0.02


def test_gradients_are_finite_where_a_mask_is_full_or_empty():
    head = EvidenceHead(8)
    evidence = torch.zeros(1, 2, EVIDENCE, 3, 3)
    evidence[:, 0, 0], evidence[:, 0, 2] = 1000.0, 1.0
    evidence[:, 1, 0] = -1000.0
    masks = head(evidence).sigmoid()
    assert masks[0, 0].min() > 0.99
    assert masks[0, 1].max() < 0.01
    masks.sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in head.parameters())


def test_classes_share_all_weights_and_another_image_changes_nothing(classifier, images):
    explainer = PTAMEPlus(classifier.float()).eval()
    torch.nn.init.normal_(explainer.network.head.last.weight)
    labels = torch.tensor([1, 2, 0])
    together = explainer(images, labels)
    for index in range(3):
        alone = explainer(images[index : index + 1], labels[index : index + 1])
        torch.testing.assert_close(alone, together[index : index + 1])
    assert sum(weight.numel() for weight in explainer.trained_state().values()) < 12_000


def test_twenty_steps_on_one_batch_lower_the_objective(classifier, images, labels, twenty_steps):
    explainer = PTAMEPlus(classifier.float(), lr=1e-2).train()
    history = twenty_steps(explainer, images, labels, explainer.build_optimizer())
    assert history[-1] < history[0] - 0.05


def test_sums_of_features_are_seen_at_any_size_of_theirs(classifier, images, labels):
    explainer = PTAMEPlus(classifier.float(), stages=[1, 2, -1], feature_sums=4)
    explainer.train()
    features = explainer.network.read(images)
    torch.nn.init.normal_(explainer.network.head.last.weight)
    masks = explainer.network.draw(features, labels)
    assert masks.shape[-2:] == tuple(2 * side for side in features[-1].shape[-2:])
    masks.sum().backward()
    assert all(layer.weight.grad.any() for layer in explainer.network.head.narrow)
    other = explainer.network.draw(
        [features[0] + torch.randn_like(features[0]), *features[1:]], labels
    )
    assert not torch.equal(masks, other)


def test_one_class_has_no_rivals():
    with pytest.raises(InputError, match="a class is told from others"):
        PTAMEPlus({"model": "test_resnet", "pretrained": False, "num_classes": 0})
