"""timm, torchvision and transformers, given the same weights, give the same logits and maps.

ResNet-50, ViT-B/16 and DeiT-Ti/16 (which torchvision does not have) at full size, with random
weights, renamed here by hand.
"""

import inspect
import re
from functools import cache

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from explainers import FrozenClassifier, SimilarityExplainer
from explainers.baselines import RISE, CAMBaseline, CaptumBaseline
from explainers.methods import METHODS
from explainers.methods.vit.token_explainer import TokenExplainer

transformers = pytest.importorskip("transformers", reason="needs the extra hf")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

FORMAT = {"mean": [0.5] * 3, "std": [0.25] * 3, "size": [224, 224]}
EVERY = METHODS | {"CAMBaseline": CAMBaseline, "CaptumBaseline": CaptumBaseline, "RISE": RISE}
BRIEF = {"steps": 3, "channels": 16, "samples": 2, "masks": 2}
"""Settings that are short: whether maps agree does not depend on how often something is done."""

FOR_TRANSFORMERS = {
    name for name, kind in METHODS.items() if name == "RCut" or issubclass(kind, TokenExplainer)
}
CASES = [("DeiT", name) for name in EVERY]
CASES += [("ViT", name) for name in EVERY if name != "TokenAblation"]  # it takes minutes
CASES += [("ResNet", name) for name in EVERY if name not in FOR_TRANSFORMERS]

RESNET = {
    r"^conv1\.": "resnet.embedder.embedder.convolution.",
    r"^bn1\.": "resnet.embedder.embedder.normalization.",
    r"^layer1\.": "resnet.encoder.stages.0.layers.",
    r"^layer2\.": "resnet.encoder.stages.1.layers.",
    r"^layer3\.": "resnet.encoder.stages.2.layers.",
    r"^layer4\.": "resnet.encoder.stages.3.layers.",
    r"\.conv1\.": ".layer.0.convolution.",
    r"\.conv2\.": ".layer.1.convolution.",
    r"\.conv3\.": ".layer.2.convolution.",
    r"\.bn1\.": ".layer.0.normalization.",
    r"\.bn2\.": ".layer.1.normalization.",
    r"\.bn3\.": ".layer.2.normalization.",
    r"downsample\.0\.": "shortcut.convolution.",
    r"downsample\.1\.": "shortcut.normalization.",
    r"^fc\.": "classifier.1.",
}
"""timm's and torchvision's names, and those of transformers."""

VIT = {
    "cls_token": ("class_token", "vit.embeddings.cls_token"),
    "pos_embed": ("encoder.pos_embedding", "vit.embeddings.position_embeddings"),
    "patch_embed.proj": ("conv_proj", "vit.embeddings.patch_embeddings.projection"),
    "norm.": ("encoder.ln.", "vit.layernorm."),
    "head.": ("heads.head.", "classifier."),
    "blocks.": ("encoder.layers.encoder_layer_", "vit.layers."),
    "norm1.": ("ln_1.", "layernorm_before."),
    "norm2.": ("ln_2.", "layernorm_after."),
    "attn.proj.": ("self_attention.out_proj.", "attention.o_proj."),
    "attn.qkv.": ("self_attention.in_proj_", "attention.qkv."),
    "mlp.fc1": ("mlp.0", "mlp.fc1"),
    "mlp.fc2": ("mlp.3", "mlp.fc2"),
}
"""timm's names, torchvision's, and those of transformers."""


def drawn(name):
    """A network of timm of five classes, whose weights are not those of an untrained one."""
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5)
    with torch.no_grad():
        for kind, weight in network.named_parameters():
            last = kind.startswith(("head.", "fc."))
            weight.add_(
                (1.0 if last else 0.05 * float(weight.std().nan_to_num(1.0)))
                * torch.randn_like(weight)
            )
            if kind.endswith("bn3.weight"):  # drawn as 0, with which blocks do nothing
                weight.fill_(0.5)
    return network.eval()


def as_torchvision(state):
    return {renamed(name, 0): value for name, value in state.items()}


def as_vit_of_transformers(state):
    found = {}
    for name, value in state.items():
        theirs = renamed(name, 1)
        if ".qkv." in theirs:
            for part, weights in zip("qkv", value.chunk(3), strict=True):
                found[theirs.replace("qkv", f"{part}_proj")] = weights.contiguous()
        else:
            found[theirs] = value
    return found


def renamed(name, library):
    for ours, theirs in VIT.items():
        if ours in ("norm.", "head.", "blocks."):
            name = re.sub(f"^{re.escape(ours)}", theirs[library], name)
        else:
            name = name.replace(ours, theirs[library])
    return name


def as_resnet_of_transformers(state):
    found = {}
    for name, value in state.items():
        for ours, theirs in RESNET.items():
            name = re.sub(ours, theirs, name)
        found[name] = value
    return found


def of_transformers(network, state):
    """A model of transformers with a network's weights."""
    if network == "ResNet":
        model = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=5))
        model.load_state_dict(as_resnet_of_transformers(state))
        return model
    width = state["norm.weight"].shape[0]
    sizes = {
        "hidden_size": width,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
    }
    config = transformers.ViTConfig(**sizes, layer_norm_eps=1e-6, num_labels=5)
    model = transformers.ViTForImageClassification(config)
    model.load_state_dict(as_vit_of_transformers(state))
    return model


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    """The classifiers of a network, timm's first, and the logits of the other libraries' own."""

    @cache
    def build(network):
        folder = tmp_path_factory.mktemp("weights")
        names = {
            "ResNet": "resnet50",
            "ViT": "vit_base_patch16_224",
            "DeiT": "deit_tiny_patch16_224",
        }
        state = drawn(names[network]).state_dict()
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "timm.safetensors")
        sources = [{"model": names[network], "weights": f"{folder}/timm.safetensors"}]
        own = []
        if network != "DeiT":
            theirs = as_torchvision(state) if network == "ViT" else state
            architecture = {"ResNet": "resnet50", "ViT": "vit_b_16"}[network]
            save_file({k: v.contiguous() for k, v in theirs.items()}, folder / "tv.safetensors")
            model = f"torchvision:{architecture}"
            sources.append({"model": model, "weights": f"{folder}/tv.safetensors"})
            own.append(torchvision.models.get_model(architecture, num_classes=5))
            own[-1].load_state_dict(theirs)
        own.append(of_transformers(network, state))
        own[-1].save_pretrained(folder / "hf")
        sources.append({"model": f"transformers:{folder}/hf"})
        return [FrozenClassifier.of(one | FORMAT) for one in sources], [one.eval() for one in own]

    return build


@pytest.fixture
def images():
    return torch.rand(1, 3, 224, 224)


@pytest.mark.parametrize("network", ["ResNet", "ViT", "DeiT"])
def test_logits_agree(classifiers, images, network):
    built, own = classifiers(network)
    expected = built[0](images)
    assert expected.std() > 0.1
    tolerance = {"rtol": 0, "atol": 1e-4 * float(expected.abs().max())}
    for one in built[1:]:
        torch.testing.assert_close(one(images), expected, **tolerance)
    for one in own:
        with torch.no_grad():
            answer = one((images - 0.5) / 0.25)
        torch.testing.assert_close(getattr(answer, "logits", answer), expected, **tolerance)


@pytest.mark.parametrize(("network", "name"), CASES)
def test_maps_agree(classifiers, images, network, name):
    found = []
    for classifier in classifiers(network)[0]:
        given = BRIEF | {"auxiliary": classifier}
        known = inspect.signature(EVERY[name]).parameters
        torch.manual_seed(1)  # heads of the same shapes draw the same weights
        explainer = EVERY[name](classifier, **{k: v for k, v in given.items() if k in known})
        target = torch.tensor([2])
        if isinstance(explainer, SimilarityExplainer):
            target = explainer.embed(images.flip(-1))
        found.append(explainer.explain(images, target).maps)
    assert found[0].std() > 1e-3
    for one in found[1:]:
        torch.testing.assert_close(one, found[0], rtol=0, atol=1e-3)
