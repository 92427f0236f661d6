import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from datamodules import ShapesDataModule
from explainers import FrozenClassifier, MaskingUNet, load_explainer
from explainers.bundle.saving import save_bundle
from explainers.errors import InputError
from explainers.export.torch_file import export_torch
from explainers.methods import masking_unet
from explainers.training.two_sided_objective import PRESETS

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


class Colours(nn.Module):
    """Says whether an image is red, green or blue somewhere: features of 4 and of 8 pixels."""

    def __init__(self, pooled=True):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 4, 4, bias=False)
        self.second = nn.Conv2d(3, 3, 2, 2, bias=False)
        self.head = nn.Linear(3, 3) if pooled else nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 3))
        with torch.no_grad():
            self.first.weight.copy_((1.5 * torch.eye(3) - 0.5)[..., None, None].expand(3, 3, 4, 4))
            self.second.weight.copy_(torch.eye(3)[..., None, None].expand(3, 3, 2, 2))
            if pooled:
                self.head.weight.copy_(1.5 * torch.eye(3))
                self.head.bias.fill_(-3.0)

    def forward(self, images):
        features = self.second(self.first(images).relu() / 16)
        return self.head(4 * features.mean((2, 3)))


def colours(activation="softmax", pooled=True):
    preparation = {"mean": [0.0] * 3, "std": [1.0] * 3, "size": [32, 32]}
    layers = {"layers": ["first", "second"], "classifier_layer": "head" if pooled else "head.1"}
    return FrozenClassifier(Colours(pooled), activation=activation, **preparation, **layers)


def patches(count, seed):
    """Grey noise with a coloured square: images, labels, and masks (count 1 32 32)."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.3 + 0.2 * torch.rand(count, 1, 32, 32, generator=generator).repeat(1, 3, 1, 1)
    labels = torch.randint(3, (count,), generator=generator)
    corners = torch.randint(0, 3, (count, 2), generator=generator) * 8
    masks = torch.zeros(count, 1, 32, 32, dtype=torch.bool)
    for image, mask, label, (top, left) in zip(images, masks, labels, corners, strict=True):
        mask[:, top : top + 16, left : left + 16] = True
        image *= ~mask
        image[label] += mask[0]
    return images, labels, masks


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_twenty_steps_on_one_batch_lower_the_objective(preset, activation, images, twenty_steps):
    classifier = FrozenClassifier.of(SOURCE | {"activation": activation})
    nn.init.normal_(classifier.reader.last_layer().weight)
    explainer = MaskingUNet(classifier, preset=preset, width=16, lr=1e-2).train()
    labels = classifier(images).argmax(dim=1)
    history = twenty_steps(explainer, images, labels, explainer.build_optimizer())
    assert history[-1] < history[0] - 0.05


@pytest.mark.parametrize("class_rows", [True, False])
def test_masks_of_absent_classes_become_emptier_and_those_of_shown_ones_cover_them(
    class_rows, objective, monkeypatch
):
    explainer = MaskingUNet(
        colours(),
        stages=[0, -1],
        width=16,
        class_rows=class_rows,
        absent_share=0.5,
        fills=["black"],
    ).train()
    optimizer = torch.optim.Adam([one for one in explainer.parameters() if one.requires_grad], 1e-2)
    for step in range(80):
        monkeypatch.setattr(MaskingUNet, "global_step", step)
        images, labels, _ = patches(12, seed=step)
        loss = objective(explainer, images, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, labels, inside = patches(30, seed=1000)
    assert (explainer.classifier(images).argmax(dim=1) == labels).all()
    own = explainer(images, labels)
    absent = explainer(images, (labels + 1) % 3)
    assert own.mean() > 4 * absent.mean()
    assert own[inside].mean() > 4 * own[~inside].mean()


def test_class_gates_the_deepest_features():
    explainer = MaskingUNet(colours(), stages=[-1], width=8).eval()
    images, labels, inside = patches(1, seed=1)
    seen = []
    explainer.network.head.steps[0].register_forward_hook(
        lambda _, given, __: seen.append(given[0])
    )
    classes = torch.stack([labels, (labels + 1) % 3], dim=1)
    masks = explainer.network.draw(explainer.network.read(images), classes)
    assert not torch.allclose(masks[:, 0], masks[:, 1])
    own, other = seen[0].abs().sum(dim=1)
    (feature,) = explainer.network.read(images)
    narrow = explainer.network.head.narrow[0](explainer.network.head.norms[0](feature))
    gates = seen[0] / narrow
    assert gates.min() >= 0
    assert gates.max() <= 1
    where = nn.functional.max_pool2d(inside.float(), 8)[0, 0].bool()
    assert (own[where] > other[where]).all()


def test_masks_of_all_classes_shown_are_united(monkeypatch):
    classifier = colours("sigmoid")
    explainer = MaskingUNet(
        classifier, stages=[0, -1], preset="nn_explainer", absent_share=0.2, width=8
    )
    images, labels, _ = patches(3, seed=2)
    images[0] = 0
    images[0, 0, :, :16] = images[0, 2, :, 16:] = 1  # red on the left, and blue on the right
    labels[0] = 2
    logits = classifier(images)
    assert (logits[0] > 0).tolist() == [True, False, True]
    classes = explainer.step_classes(labels, logits)
    assert classes[0].tolist() == [2, 0, 1]
    assert (classes[1:, 1] == labels[1:]).all()
    assert (classes[1:, 2] != labels[1:]).all()

    shown = []
    monkeypatch.setattr(
        type(explainer.objective),
        "removal",
        lambda *_: lambda images, part: shown.append(part) or images * part,
    )
    masks = torch.rand(3, 3, 32, 32)
    explainer.losses(images, labels, masks, logits)
    torch.testing.assert_close(shown[0][0, 0], torch.maximum(masks[0, 0], masks[0, 1]))
    torch.testing.assert_close(shown[1], 1 - shown[0])


def test_where_classes_exclude_each_other_the_label_alone_is_there():
    explainer = MaskingUNet(colours(), stages=[0, -1], preset="nn_explainer", width=8)
    images, labels, _ = patches(3, seed=2)
    logits = explainer.classifier(images)
    assert explainer.step_classes(labels, logits).tolist() == labels[:, None].tolist()


def test_most_masks_of_an_image_are_bounded(monkeypatch):
    monkeypatch.setattr(masking_unet, "MOST_PRESENT", 2)
    classifier = FrozenClassifier.of(SOURCE | {"activation": "sigmoid", "threshold": 0.0})
    explainer = MaskingUNet(classifier, preset="nn_explainer", width=8)
    assert explainer.step_classes(torch.tensor([3]), torch.zeros(1, 4)).shape == (1, 2)


def test_preset_sets_what_is_not_given():
    objective = MaskingUNet(SOURCE, area_weight=7.0, width=8).objective
    assert objective.area_weight == 7.0
    assert objective.destroy_power == PRESETS["rtis"]["destroy_power"]
    assert MaskingUNet(SOURCE, preset="phang", width=8).objective.entropy_weight == 10.0
    assert MaskingUNet(SOURCE, absent_share=0.0, width=8).objective.absent_share == 0.0


def test_networks_without_class_rows_learn_an_embedding_of_each_class():
    assert MaskingUNet(colours(), width=8).fixed_classes is False
    explainer = MaskingUNet(colours(pooled=False), width=8)
    assert explainer.fixed_classes
    assert explainer.network.embedding.weight.shape == (3, 3)
    assert not torch.allclose(
        *(explainer(torch.rand(1, 3, 32, 32), torch.tensor([k])) for k in (0, 1))
    )
    other = MaskingUNet(SOURCE, auxiliary=SOURCE | {"num_classes": 7}, width=8)
    assert other.network.embedding.weight.shape == (4, 96)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"preset": "rtiss"}, "unknown preset 'rtiss'; did you mean rtis"),
        (
            {"stages": [1, 2]},
            r"stages must end with -1, .* got \[1, 2\]; add it, or set class_rows",
        ),
        ({"width": 0}, "width must be a whole number from 1 to 1024, got 0"),
        ({"threshold_weight": -1.0}, "threshold_weight must be .* least 0, got -1"),
        ({"classifier": SOURCE | {"num_classes": 0}}, "has 0; choose a classifier of two classes"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        MaskingUNet(**{"classifier": SOURCE} | options)


def test_stages_may_end_earlier_where_embeddings_are_learned(images, labels):
    explainer = MaskingUNet(SOURCE, stages=[1, 2], class_rows=False, width=8)
    assert explainer(images, labels).shape == (3, 1, 96, 128)


def test_mask_is_drawn_at_the_size_of_the_finest_stage(images, labels):
    explainer = MaskingUNet(SOURCE, width=8)
    features = explainer.network.read(images)
    masks = explainer.network.draw(features, labels)
    assert masks.shape == (3, 1, *features[0].shape[-2:]) == (3, 1, 24, 32)


@pytest.mark.parametrize("class_rows", [True, False])
def test_bundle_answers_as_what_was_saved(class_rows, images, labels, tmp_path):
    network = FrozenClassifier.of(SOURCE)
    torch.save(network.model.state_dict(), tmp_path / "weights.pth")
    source = {"model": "test_resnet", "weights": str(tmp_path / "weights.pth"), "num_classes": 4}
    explainer = MaskingUNet(source, class_rows=class_rows, width=8, fills=["mean", "blur"])
    row = {"explainer": "maskingunet", "average_drop": 1.0}
    folder = save_bundle(
        explainer, str(tmp_path / "bundle"), {"steps": 0}, [row], torch.rand(3, 8, 8)
    )
    loaded = load_explainer(folder)
    assert loaded.objective == explainer.objective
    assert torch.equal(loaded(images, labels), explainer(images, labels))


@pytest.mark.filterwarnings("default")  # torch's exporter has some
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_export_is_one_graph(name, tmp_path):
    explainer = MaskingUNet(SOURCE | {"model": name}, width=8)
    assert export_torch(explainer, tmp_path / "one.pt2", with_classifier=True).difference <= 1e-4


@pytest.mark.filterwarnings("default")  # Lightning warns about its own dependencies
def test_resumed_fit_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    def fit(name, weights=None):
        torch.manual_seed(0)
        explainer = MaskingUNet(colours("sigmoid"), width=8, stages=[0, -1], threshold_weight=1.0)
        data = ShapesDataModule(length=4, samples_per_epoch=12, size=32, batch_size=4)
        each = ModelCheckpoint(tmp_path / name, "{epoch}", save_top_k=-1, monitor=None)
        options = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu"}
        options |= {"use_distributed_sampler": False, "callbacks": [each]}
        trainer = Trainer(max_epochs=2, **options)
        trainer.fit(explainer, datamodule=data, ckpt_path=weights)
        assert trainer.global_step == 6
        return explainer.trained_state()

    whole = fit("whole")
    resumed = fit("resumed", tmp_path / "whole/epoch=0.ckpt")
    for name, value in resumed.items():
        assert torch.equal(value, whole[name]), name
