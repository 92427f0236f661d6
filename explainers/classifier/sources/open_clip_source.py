"""CLIP networks of open_clip, whose classes are texts."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import timm

from explainers.classifier.image_format import ImageFormat
from explainers.classifier.sources.clip_networks import text_classifier
from explainers.classifier.sources.hub_files import hub_file, hub_folder
from explainers.classifier.sources.network import Network
from explainers.classifier.sources.state_dicts import load_weights
from explainers.classifier.text_tower import TextTower
from explainers.classifier.weight_files import read_state
from explainers.errors import InputError, require_known

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors")
TOKENIZER = ("*.json", "*.txt", "*.model")


def create(name: str, pretrained: bool, weights: str | None, num_classes: int | None) -> Network:
    """Build a network; arguments and errors as of `sources.create`.

    Args:
        name: `ARCH@PRETRAINED`, where PRETRAINED is one of open_clip's tags or a file; or
            `local-dir:FOLDER` or `hf-hub:org/name`, with open_clip's config and weights.
        pretrained: see there.
        weights: see there.
        num_classes: must be left out.
    """
    library = _library()
    if num_classes is not None:
        raise InputError(
            f"the classes of open_clip:{name} are texts; give them as classes, and leave "
            f"num_classes ({num_classes}) out"
        )
    needed = pretrained and weights is None
    options: dict[str, Any] = {}
    if name.startswith(("local-dir:", "hf-hub:")):
        folder = _folder(name)
        architecture = f"local-dir:{folder}"
        file = _weights_in(folder, name) if needed else weights
    else:
        architecture, _, tag = name.partition("@")
        require_known("open_clip architecture", architecture, library.list_models())
        options = _published(library, architecture, tag)
        file = _file_of(library, architecture, tag, options) if needed else weights
    with _quiet():
        try:
            model = library.create_model(
                architecture,
                load_weights=False,
                pretrained_text=False,
                force_quick_gelu=bool(options.get("quick_gelu")),  # as it was trained
            )
            tokenizer = library.get_tokenizer(architecture)
        except Exception as error:
            # open_clip, transformers and timm each raise their own kinds for what is one thing.
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"open_clip:{name} cannot be built: {reason}") from error
    if file is not None:
        _load(library, model, Path(file), name)
    prepared = model.visual.preprocess_cfg | options
    bias = getattr(model, "logit_bias", None)
    offset = 0.0 if bias is None else bias.item()
    network = text_classifier(model.visual, model.logit_scale.exp().item(), offset)
    del model.visual  # what is left encodes texts
    return Network(network, _format(prepared), text_tower=TextTower(model, tokenizer))


def of_timm(name: str) -> str:
    """The name at open_clip of a CLIP network of timm, which has the image tower alone.

    Raises:
        InputError: no text tower is known that belongs to it.
    """
    library = _library()
    config = timm.get_pretrained_cfg(name) if timm.is_model(name.partition(".")[0]) else None
    repository = config and config.hf_hub_id
    for architecture in library.list_models():
        for tag in library.list_pretrained_tags_by_model(architecture):
            hub = library.get_pretrained_cfg(architecture, tag).get("hf_hub", "").strip("/")
            if hub and hub == repository:
                return f"{architecture}@{tag}"
    raise InputError(
        f"no text tower of {name} is known, and classes are texts; give a network that has one, as "
        "open_clip:ViT-B-32@openai, or name the classes of this one as class_names"
    )


def _library() -> Any:  # noqa: ANN401  a package without types
    try:
        with _quiet():
            library: Any = import_module("open_clip")
    except ImportError as error:
        raise InputError(
            f"classes as texts need the package open_clip_torch, which cannot be imported ({error}); "
            'pip install "learned-explainers[clip]"'
        ) from error
    return library


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip from configuring the root logger, and from warning of weights that we load."""
    root = logging.getLogger()
    level, handler = root.level, logging.NullHandler()
    root.addHandler(handler)
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def _folder(name: str) -> Path:
    """The folder of a network's config, fetched from the hub where it is there."""
    kind, _, place = name.partition(":")
    folder = Path(place) if kind == "local-dir" else hub_folder(place, [CONFIG, *TOKENIZER])
    if not (folder / CONFIG).is_file():
        raise InputError(f"no {CONFIG} in {folder.absolute()}; name a folder of open_clip's")
    return folder


def _weights_in(folder: Path, name: str) -> Path:
    for file in WEIGHTS:
        if (folder / file).is_file():
            return folder / file
    if name.startswith("hf-hub:"):
        return hub_file(name.removeprefix("hf-hub:"), WEIGHTS)
    raise InputError(f"no weights in {folder.absolute()}; put {WEIGHTS[0]} there")


def _published(library: Any, architecture: str, tag: str) -> dict[str, Any]:  # noqa: ANN401
    """What open_clip knows of published weights; nothing of a file's."""
    tags = library.list_pretrained_tags_by_model(architecture)
    if not tag or Path(tag).is_file():
        return {}
    require_known(f"weights of {architecture}", tag, tags)
    return dict(library.get_pretrained_cfg(architecture, tag))


def _file_of(library: Any, architecture: str, tag: str, published: dict[str, Any]) -> Path:  # noqa: ANN401
    if not tag:
        tags = library.list_pretrained_tags_by_model(architecture)
        raise InputError(
            f"name weights of {architecture} as open_clip:{architecture}@PRETRAINED: a file, or "
            f"{', '.join(tags) or 'nothing else'}; or pretrained: false for random ones"
        )
    if not published:
        return Path(tag)
    owner, _, rest = published.get("hf_hub", "").partition("/")
    repository, _, file = rest.partition("/")
    if repository:
        return hub_file(f"{owner}/{repository}", [file] if file else WEIGHTS)
    try:
        return Path(library.download_pretrained(published))
    except Exception as error:
        # urllib, hashes and the file system each raise their own kinds for what is here one thing.
        raise InputError(
            f"the weights {tag} of {architecture} cannot be fetched: "
            f"{' '.join(str(error).split())[:200]}; name a file of weights (weights: FILE)"
        ) from error


def _load(library: Any, model: Any, file: Path, name: str) -> None:  # noqa: ANN401
    """Load a file in any of the layouts that open_clip knows, or its own under any prefix."""
    state = read_state(file)  # refuses what is no file of tensors
    try:
        with _quiet():
            library.load_checkpoint(model, str(file), weights_only=True)
    except (RuntimeError, KeyError, AttributeError):
        load_weights(model, state, str(file), f"open_clip:{name}")


def _format(prepared: dict[str, Any]) -> ImageFormat:
    size = prepared["size"]
    height, width = (size, size) if isinstance(size, int) else size
    given = prepared["interpolation"]
    interpolation = given if given in ("bicubic", "bilinear") else "bicubic"
    return ImageFormat(
        list(prepared["mean"]), list(prepared["std"]), (height, width), 1.0, interpolation
    )
