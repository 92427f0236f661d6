"""R-Cut against a slow R-Cut by its text, and what makes no difference to it or is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from explainers import RCut
from explainers.errors import ArchitectureError, InputError

LABELS = torch.tensor([1, 3])
ARMS = ["out", "cut", "rcut"]
RELATIONS = ["cosine_full", "cosine_target", "score", "gradient", "probability_gradient"]


def slow_rcut(classifier, prefix, image, label, tau, relation):
    """R-Cut of one image, channel by channel, through a hook: patches (n) before their min-max."""
    kept = []
    handle = classifier.model.blocks[-1].norm1.register_forward_hook(lambda *p: kept.append(p[-1]))
    whole = classifier(image[None].clone().requires_grad_())[0].softmax(dim=0)
    handle.remove()
    if relation == "released":  # Grad-CAM of the probability, unclamped
        (gradient,) = torch.autograd.grad(whole[label], kept[0])
    tokens, whole = kept[0][0, prefix:].detach(), whole.detach()
    rows = image.shape[1] // classifier.model.patch_embed.patch_size[0]
    weights = list(gradient[0, prefix:].mean(dim=0)) if relation == "released" else []
    weights = [torch.tensor(1.0)] * tokens.shape[1] if relation == "uniform" else weights
    for channel in [] if weights else tokens.T:
        mask = (channel - channel.min()) / (channel.max() - channel.min())
        mask = F.interpolate(mask.view(1, 1, rows, -1), image.shape[-2:], mode="bilinear")[0]
        answer = classifier((image * mask)[None])[0].softmax(dim=0)
        weights.append(
            {
                "cosine_full": answer @ whole / (answer.norm() * whole.norm()),
                "cosine_target": answer[label] / answer.norm(),
                "score": answer[label],
            }[relation]
        )
    weighed = (tokens * torch.stack(weights)).numpy()
    directions = weighed / np.linalg.norm(weighed, axis=1, keepdims=True)
    graph = np.where(directions @ directions.T > tau, 1, 1e-5)
    degrees = np.diag(graph.sum(axis=1))
    values, vectors = np.linalg.eig(np.linalg.solve(degrees, degrees - graph))
    order = np.argsort(values.real)
    if values.real[order[2]] - values.real[order[1]] < 1e-6:
        return torch.from_numpy(weighed.sum(axis=1))
    vector = vectors[:, order[1]].real
    return torch.from_numpy(np.maximum(vector * np.sign(vector[np.abs(vector).argmax()]), 0))


@pytest.mark.parametrize(
    ("relation", "options"),
    [
        ("cosine_full", {"relation": "cosine_full"}),
        ("cosine_target", {"relation": "cosine_target"}),
        ("score", {"relation": "score"}),
        ("released", {"relation": "probability_gradient", "clamp": False}),
        ("uniform", {"arm": "cut"}),
    ],
)
@pytest.mark.parametrize("name", ["class token", "registers", "mean"])
def test_equals_a_slow_one_by_the_text(name, relation, options, build, pictures):
    classifier, prefix = build(name)
    images = pictures[..., :64] if name != "registers" else pictures[:, :, :56, :70]
    images = F.interpolate(images, classifier.size)  # so that the classifier resizes nothing
    maps = RCut(classifier, **options, tau=0.3, chunk_size=7).attribute(images, LABELS)
    for index, label in enumerate(LABELS):
        vector = slow_rcut(classifier, prefix, images[index], label, 0.3, relation)
        vector = (vector - vector.min()) / (vector.max() - vector.min())
        rows = images.shape[2] // classifier.model.patch_embed.patch_size[0]
        expected = F.interpolate(
            vector.view(1, 1, rows, -1), images.shape[-2:], mode="bilinear", align_corners=False
        )
        torch.testing.assert_close(maps[[index]], expected, rtol=0, atol=1e-8)


def test_uniform_weights_are_the_plain_cut(build, pictures, monkeypatch):
    classifier, _ = build("class token")
    plain = RCut(classifier, arm="cut")
    assert plain.tau == 0.25
    weighed = RCut(classifier, tau=0.25)
    assert not torch.equal(weighed.attribute(pictures, LABELS), plain.attribute(pictures, LABELS))
    monkeypatch.setattr(
        RCut, "_relations", lambda self, last, tokens, *_: 0.3 * torch.ones_like(tokens[:, 0])
    )
    torch.testing.assert_close(
        weighed.attribute(pictures, LABELS), plain.attribute(pictures, LABELS), rtol=0, atol=1e-12
    )


def test_plain_cut_knows_no_class_and_costs_no_passes(build, pictures):
    explainer = RCut(build("class token")[0], arm="cut")
    passes = []
    explainer.classifier.register_forward_hook(lambda *_: passes.append(1))
    maps = [explainer.attribute(pictures, labels) for labels in (LABELS, LABELS.flip(0))]
    assert torch.equal(*maps)
    assert not passes


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("relation", RELATIONS)
def test_neither_batch_nor_chunks_nor_repetition_make_a_difference(arm, relation, build, pictures):
    classifier, _ = build("rotary registers")
    together = RCut(classifier, arm, relation, chunk_size=50).attribute(pictures, LABELS)
    again = RCut(classifier, arm, relation, chunk_size=50).attribute(pictures, LABELS)
    assert torch.equal(together, again)
    single = RCut(classifier, arm, relation, chunk_size=1)
    assert together.shape == (2, 1, 64, 80)
    for index in range(2):
        alone = single.attribute(pictures[[index]], LABELS[[index]])
        torch.testing.assert_close(together[[index]], alone, rtol=0, atol=1e-8)


def test_chunks_hold_several_images_and_never_too_many(build, pictures):
    explainer = RCut(build("class token")[0], channels=10, chunk_size=16)
    sizes = []
    explainer.classifier.register_forward_hook(lambda *parts: sizes.append(len(parts[-1])))
    explainer.attribute(pictures, LABELS)
    assert sizes == [16, 4]  # 2 images of 10 channels


def test_all_channels_by_number_are_all_channels(build, pictures):
    classifier, _ = build("class token")
    width = classifier.model.embed_dim
    few, every = (RCut(classifier, channels=count) for count in (width, None))
    expected = every.attribute(pictures, LABELS)
    torch.testing.assert_close(few.attribute(pictures, LABELS), expected, rtol=0, atol=1e-9)


def test_softmax_over_the_channels_leaves_the_plain_cut(build, pictures, monkeypatch):
    # Weights that span 0.0101 to 0.0108, as a softmax of scores does, cut as equal ones do.
    classifier, _ = build("class token")
    plain = RCut(classifier, arm="cut", tau=0.2).attribute(pictures, LABELS)

    def flat(self, last, tokens, *_):
        return torch.linspace(0.0101, 0.0108, tokens.shape[2]).expand(len(tokens), -1).double()

    monkeypatch.setattr(RCut, "_relations", flat)
    weighed = RCut(classifier, tau=0.2).attribute(pictures, LABELS)
    pairs = torch.stack([plain.flatten(1), weighed.flatten(1)], dim=1)
    assert all(torch.corrcoef(pair)[0, 1] > 0.97 for pair in pairs)


def test_nothing_stays_on_the_model(build, pictures, assert_untouched):
    for relation in ("gradient", "cosine_target"):
        explainer = RCut(build("distilled")[0], relation=relation)
        before = explainer.classifier.fingerprint()
        with torch.inference_mode():
            explainer.attribute(pictures, LABELS)
        assert_untouched(explainer.classifier, before)


def test_networks_without_tokens_before_an_attention_are_refused(source):
    if source["model"] == "test_vit":
        assert RCut(source).transformer.prefix == 1
        return
    with pytest.raises(ArchitectureError, match="needs a vision transformer"):
        RCut(source)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": "outt"}, "unknown arm 'outt'; did you mean out"),
        ({"relation": "cosine"}, "unknown relation 'cosine'"),
        ({"vector": "logit"}, "unknown vector 'logit'; did you mean logits"),
        ({"sign": "sed"}, "unknown sign 'sed'; did you mean seed"),
        ({"channels": 0}, "channels must be a whole number from 1 to 32, got 0"),
        ({"channels": 33}, "got 33"),
        ({"tau": 1.0}, "tau must be a finite number of at least 0 and below 1, got 1.0"),
        ({"tau": -0.1}, "got -0.1"),
        ({"chunk_size": 0}, "chunk_size must be a whole number from 1 to 100000, got 0"),
        ({"arm": "cut", "sign": "out"}, "knows no class to choose sign='out' by"),
    ],
)
def test_bad_options_are_refused(options, message, build):
    with pytest.raises(InputError, match=message):
        RCut(build("layer scale")[0], **options)


def test_network_without_classes_is_cut_all_the_same(pictures):
    source = {"model": "test_vit", "pretrained": False, "num_classes": 0}
    with pytest.raises(InputError, match="no classes to weigh channels by; use arm='cut'"):
        RCut(source)
    explanation = RCut(source, arm="cut").explain(pictures.float())
    assert explanation.maps.std() > 0
    assert explanation.captions == ["reference"] * len(pictures)
