"""`explainers layers`: the layers of a classifier whose features can be read."""

import argparse
import inspect
from pathlib import Path

import torch

from explainers.classifier import FrozenClassifier, serialisation, sources
from explainers.classifier.image_format import image_format_of
from explainers.classifier.layer_reader import LayerReader
from explainers.errors import InputError
from explainers.from_config import read_yaml


def run(arguments: argparse.Namespace) -> int:
    """Print a line a layer: its name, what it puts out, and whether it is read by default."""
    source = _described(arguments.config) if arguments.config else {"model": arguments.model}
    known = inspect.signature(FrozenClassifier).parameters
    options = serialisation.arguments_of(source, known)
    # Random weights do, and the library's own network, whose names `layers` stands for.
    network = sources.create(
        options["model"], pretrained=False, num_classes=options.get("num_classes"), as_it_is=True
    )
    given = {name: options.get(name) for name in ("mean", "std", "size")}
    size = image_format_of(network.model, **given, known=network.image_format).size
    reader = LayerReader(network.model.eval(), torch.rand(1, 3, *size))
    chosen = [layer.name for layer in reader.layers]
    width = max(len(layer.name) for layer in reader.known)
    for layer in reader.known:
        shape = " x ".join(map(str, layer.shape[1:]))
        prefix = f", {layer.prefix} before the places" if layer.prefix else ""
        marks = ["read by default"] * (layer.name in chosen[:-1])
        marks += ["pooled"] * (layer.name == chosen[-1])
        text = f"{layer.name:{width}}  {layer.layout} {shape}, stride {layer.reduction}{prefix}"
        print(f"{text}  {', '.join(marks)}".rstrip())
    print(f"\nthe layer that gives the logits: {reader.last or 'not known; name classifier_layer'}")
    return 0


def _described(path: Path) -> object:
    """The classifier in a config of train.py or of a comparison."""
    config = read_yaml(path)
    model = config.get("model")
    arguments = model.get("init_args") if isinstance(model, dict) else None
    places = (config, arguments if isinstance(arguments, dict) else {})
    found = next((place["classifier"] for place in places if "classifier" in place), None)
    if found is None:
        raise InputError(f"{path} describes no classifier; name one with --model")
    return found
