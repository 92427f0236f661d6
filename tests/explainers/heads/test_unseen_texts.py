"""A conditioned head that is trained on some texts explains others that it has not met.

The network is a tiny CLIP, whose image tower is trained here to tell 30 texts apart ("a red ring")
on drawn scenes. The head learns from 20 of them, and is scored on the other ten.
"""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from explainers import FrozenClassifier, PTAMEPlus

COLOURS = {
    "red": (0.9, 0.1, 0.1),
    "green": (0.1, 0.8, 0.2),
    "blue": (0.15, 0.2, 0.9),
    "yellow": (0.9, 0.9, 0.1),
    "purple": (0.6, 0.1, 0.7),
    "cyan": (0.1, 0.8, 0.9),
}
SHAPES = ("circle", "square", "triangle", "cross", "ring")
TEXTS = [f"a {colour} {shape}" for colour, shape in product(COLOURS, SHAPES)]
MET = [index for index in range(30) if (index // 5 + index % 5) % 3]
UNMET = [index for index in range(30) if index not in MET]  # each colour and shape was met
OBJECTIVE = {  # confidence and area
    "confidence_weight": 1.0,
    "classification_weight": 0.0,
    "area_weight": 0.3,
    "area_budget": 0.0,
    "threshold_weight": 0.0,
    "mosaics": 0,
}


def drawn(shape, radius, top, left):
    """The pixels (64 64) of a shape."""
    y, x = torch.meshgrid(torch.arange(64) - top, torch.arange(64) - left, indexing="ij")
    distance = (y**2 + x**2).sqrt()
    if shape == "circle":
        return distance <= radius
    if shape == "ring":
        return (distance <= radius) & (distance >= 0.6 * radius)
    if shape == "square":
        return (y.abs() <= 0.85 * radius) & (x.abs() <= 0.85 * radius)
    if shape == "triangle":
        return (y <= 0.8 * radius) & (y >= 1.9 * x.abs() - radius)
    bars = (y.abs() <= 0.3 * radius, x.abs() <= 0.3 * radius)
    return (bars[0] & (x.abs() <= radius)) | (bars[1] & (y.abs() <= radius))


def scene(labels, generator):
    """An image (3 64 64) of one object for each label, and the pixels of the first."""

    def whole(least, most):
        return int(torch.randint(least, most, (), generator=generator))

    noise = 0.05 * torch.randn(3, 64, 64, generator=generator)
    image = 0.35 + 0.3 * torch.rand(3, 1, 1, generator=generator) + noise
    masks = []
    for label, cell in zip(labels, torch.randperm(4, generator=generator).tolist(), strict=False):
        place = 16 + 32 * (cell // 2) + whole(-3, 4), 16 + 32 * (cell % 2) + whole(-3, 4)
        masks.append(drawn(SHAPES[label % 5], whole(9, 13), *place))
        colour = torch.tensor(list(COLOURS.values())[label // 5])
        image = torch.where(masks[-1], colour[:, None, None], image)
    return image.clamp(0, 1), masks[0][None]


def scenes(count, labels, objects, seed):
    """Images (b 3 64 64), masks (b 1 64 64) and labels (b) of their first objects."""
    generator = torch.Generator().manual_seed(seed)
    order = [torch.randperm(len(labels), generator=generator)[:objects] for _ in range(count)]
    chosen = [[labels[index] for index in one] for one in order]
    pairs = [scene(one, generator) for one in chosen]
    images, masks = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return images, masks, torch.tensor([one[0] for one in chosen])


def steps(parameters, rate, count):
    """Step numbers, after each of which an optimiser goes on by the gradient."""
    optimizer = torch.optim.AdamW(parameters, rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=count)
    for step in range(count):
        optimizer.zero_grad()
        yield step
        optimizer.step()
        schedule.step()


@pytest.fixture
def classifier(clip_folder):
    classifier = FrozenClassifier(f"open_clip:local-dir:{clip_folder('fast')}", classes=TEXTS)
    tower = classifier.model.requires_grad_(True).train()
    for step in steps(tower.parameters(), 2e-3, 400):
        images, _, labels = scenes(32, list(range(30)), 1, step)
        F.cross_entropy(classifier(images), labels).backward()
    tower.requires_grad_(False).eval()
    images, _, labels = scenes(200, list(range(30)), 1, 10**6)
    assert (classifier(images).argmax(dim=1) == labels).float().mean() > 0.9
    return classifier


@torch.no_grad()
def scored(explainer):
    """Average drop and gain, and hits of the highest pixel, in percent, for texts never met."""
    images, masks, labels = scenes(150, UNMET, 2, 2 * 10**6)
    maps = explainer.eval().to_maps(explainer(images, labels))
    whole, kept = (explainer.confidence(one, labels) for one in (images, images * maps))
    drop = 100 * ((whole - kept).relu() / whole).mean()
    gain = 100 * ((kept - whole).relu() / (1 - whole)).mean()
    highest = maps.flatten(1).argmax(dim=1, keepdim=True)
    return float(drop), float(gain), 100 * float(masks.flatten(1).gather(1, highest).float().mean())


@pytest.mark.slow
def test_head_that_learned_from_some_texts_explains_others(classifier, objective):
    # Training is chaotic: rounding of another processor leads to another network and head. Over
    # three such networks AD fell by 19 to 47 points, AG rose by 3.2 to 17 and pointing by 16 to 30;
    # at an area weight of 0.7, masks of two of them fell short of objects, and AD rose.
    explainer = PTAMEPlus(classifier, evidence_width=0, stages=None, **OBJECTIVE)
    start = scored(explainer)
    explainer.tell_apart([TEXTS[index] for index in MET])
    explainer.train()
    trained = [weight for weight in explainer.parameters() if weight.requires_grad]
    for step in steps(trained, 1e-3, 250):
        images, _, _ = scenes(24, MET, 2, 10**7 + step)
        objective(explainer, images, explainer.classifier(images).argmax(dim=1)).backward()
    explainer.tell_apart(TEXTS)
    end = scored(explainer)
    print(f"drop, gain, pointing: {start} at the start, {end} after training")  # noqa: T201
    assert end[0] < start[0] - 9
    assert end[1] > start[1] + 1.5
    assert end[2] > start[2] + 8
