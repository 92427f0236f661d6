import pytest
import torch
import torch.nn.functional as F

from explainers import PTAME
from explainers.errors import InputError

RANDOM_RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


def test_head_on_resnet18_has_the_published_number_of_weights():
    explainer = PTAME(
        {"model": "test_resnet", "pretrained": False},
        {"model": "resnet18", "pretrained": False},
    )
    trained = sum(weight.numel() for weight in explainer.parameters() if weight.requires_grad)
    assert trained == 1_311_040
    assert explainer.network.stages == [1, 2, 3, 4]
    assert explainer.network.head.channels == [64, 128, 256, 512]


def test_twenty_steps_on_one_batch_lower_the_objective(images, source, twenty_steps):
    explainer = PTAME(RANDOM_RESNET, source).train()
    labels = explainer.resolve_target(images, None)
    weights = [weight for weight in explainer.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-2)
    history = twenty_steps(explainer, images, labels, optimizer)
    assert history[-1] < 0.9 * history[0]


def test_every_trained_weight_and_no_frozen_one_gets_a_gradient(images, source, objective):
    explainer = PTAME(RANDOM_RESNET, source).train()
    labels = torch.tensor([0, 1, 2])
    objective(explainer, images, labels).backward()
    for name, weight in explainer.named_parameters():
        assert (weight.grad is not None) == weight.requires_grad, name
    assert explainer.trained_state().keys() >= {
        name for name, weight in explainer.named_parameters() if weight.requires_grad
    }


def test_cam_start_needs_the_classes_of_the_classifier():
    with pytest.raises(InputError, match=r"the 4 classes of the classifier.*has 5"):
        PTAME(RANDOM_RESNET, RANDOM_RESNET | {"num_classes": 5}, cam_start=True)


def test_cam_start_answers_with_the_auxiliarys_activation_map(images):
    explainer = PTAME(RANDOM_RESNET, RANDOM_RESNET, cam_start=True)
    auxiliary = explainer.network.backbone
    features = auxiliary.features(images, [-1])[0]
    cam = torch.einsum("bchw,c->bhw", features, auxiliary.class_weights[2])[:, None]
    for _ in range(3):  # to the finest stage read, at stride 4
        cam = F.interpolate(cam, scale_factor=2, mode="bilinear")
    expected = F.interpolate((0.3 * cam - 1.8).sigmoid(), (96, 128), mode="bilinear")
    torch.testing.assert_close(
        explainer(images, torch.tensor([2, 2, 2])), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
def test_a_classifier_without_classes_has_none_to_explain_unasked(images):
    explainer = PTAME(RANDOM_RESNET | {"num_classes": 0}, RANDOM_RESNET)
    with pytest.raises(InputError, match="has no classes"):
        explainer.explain(images)
