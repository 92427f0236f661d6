"""Maps of a folder, a list or shards of images, as shards: `explainers explain --images`."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from datamodules.errors import system_errors_named
from datamodules.maps import PRECISIONS
from datamodules.samples.image_source import image_source_of
from datamodules.shard_files.writing import ShardWriter
from explainers.base import Explainer
from explainers.callbacks.map_records import SPLIT, described, plain_settings
from explainers.commands.map_pictures import PICTURES, MapPictures
from explainers.commands.options.drawing import chosen_kind, chosen_style
from explainers.commands.prepared_images import Prepared, PreparedImages
from explainers.errors import INTERRUPTED
from explainers.explanation import Answer, Explanation
from explainers.images.reading import at_size

Answered = tuple[Prepared, Explanation | None]
"""An image, and its explanation if it could be read."""

Encoded = tuple[dict[str, bytes], str]
"""Files of a map by suffix, and the reason where there is no map."""


def explain_all(explainer: Explainer, target: Tensor | None, arguments: argparse.Namespace) -> int:
    """Write the maps of `--images` to shards, from where an earlier run was stopped.

    Args:
        explainer: the method.
        target: a class (1) or a reference (1 d) for all; None for each image's predicted class.
        arguments: of the command line.

    Returns:
        0 if every image has a map, 2 if some were left out, 130 after a Ctrl-C.

    Raises:
        InputError: the target cannot be explained.
        DataError: the images, or the shards in the output, cannot be used.
    """
    contents = image_source_of(arguments.images)
    size = explainer.classifier.size
    if target is not None:
        target = explainer.resolve_target(torch.zeros(1, 3, *size, device=explainer.device), target)
    fraction = explainer.classifier.crop_fraction if arguments.crop else None
    images = PreparedImages(contents, size, fraction, arguments.pictures)
    settings = plain_settings(explainer) | {
        "images": arguments.images,
        "images_sha256": contents.digest(),
        "target": None if target is None or target.is_floating_point() else int(target),
        "concept": arguments.concept,
        "crop": arguments.crop,
        "precision": arguments.precision,
        **({"pictures": True} if arguments.pictures else {}),
    }
    try:
        with (
            system_errors_named(arguments.output),
            ShardWriter(arguments.output, SPLIT, arguments.max_size, settings) as writer,
        ):
            _write(explainer, target, images, writer, arguments)
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        return INTERRUPTED
    print(f"{len(writer)} maps in {len(writer.shards)} shards: {writer.folder / SPLIT}-*.tar")
    if arguments.pictures:
        print(f"their pictures: {writer.folder / PICTURES}/*.{chosen_kind(arguments)}")
    if writer.left_out:
        print(
            f"error: {len(writer.left_out)} of {len(contents)} images were left out; "
            f"{writer.folder / '_info.json'} names them",
            file=sys.stderr,
        )
        return 2
    return 0


def _write(
    explainer: Explainer,
    target: Tensor | None,
    images: PreparedImages,
    writer: ShardWriter,
    arguments: argparse.Namespace,
) -> None:
    todo = range(writer.position, len(images.contents))
    if not todo:
        return
    loader = DataLoader(
        images,
        arguments.batch_size,
        sampler=todo,
        num_workers=arguments.workers,
        collate_fn=list,
    )
    pictures = None
    if images.drawn:
        style, kind = chosen_style(arguments), chosen_kind(arguments)
        pictures = MapPictures(writer.folder, images.contents, style, kind)
    encode = partial(_encoded, precision=arguments.precision)
    bar = tqdm(total=len(images.contents), initial=writer.position, unit="image", disable=None)

    def add(encoded: Iterable[tuple[Answered, Encoded]]) -> None:
        for (one, explanation), (members, reason) in encoded:
            if reason:
                tqdm.write(f"error: {' '.join(reason.split())}", file=sys.stderr)
                writer.add([], {one.source: reason})
            else:
                if pictures and explanation:
                    pictures.write(writer.position, one, explanation)
                writer.add([(one.key, members)])
            bar.update()

    # Processes read ahead by themselves.
    batches = iter(loader if arguments.workers else _read_ahead(loader))
    last: Iterable[tuple[Answered, Encoded]] = ()
    with bar, ThreadPoolExecutor(1) as encoder:
        while True:
            try:
                batch = next(batches, None)
                answered = None if batch is None else _answered(explainer, target, batch)
            finally:  # also when it is stopped there: what was answered is kept
                add(last)
            if answered is None:
                break
            # Encoded while the network has the next batch.
            last = zip(answered, encoder.map(encode, answered), strict=True)


def _read_ahead(batches: Iterable[Sequence[Prepared]]) -> Iterator[Sequence[Prepared]]:
    """The batches, of which a thread decodes the next one while the network has the last one."""
    coming = iter(batches)
    with ThreadPoolExecutor(1) as reader:
        batch = reader.submit(next, coming, None)
        while (read := batch.result()) is not None:
            batch = reader.submit(next, coming, None)
            yield read


def _answered(
    explainer: Explainer, target: Tensor | None, batch: Sequence[Prepared]
) -> list[Answered]:
    """Each image with its explanation at the size that the classifier saw; None if it has no image."""
    shown = [one for one in batch if one.image is not None]
    if not shown:
        return [(one, None) for one in batch]
    tensors = torch.stack([one.image for one in shown if one.image is not None])
    tensors = tensors.to(explainer.device)
    targets, scores, probabilities = explainer.answer(
        tensors, None if target is None else target.repeat_interleave(len(shown), dim=0)
    )
    signs = (explainer.signed, explainer.label, explainer.map_meaning)
    maps = explainer.to_maps(scores)
    answer = Answer(maps, scores, targets, probabilities, None, *signs)
    names = [one.source for one in shown]
    class_names = explainer.classifier.class_names
    known = iter(Explanation.of(answer, list(tensors.cpu()), names, class_names))
    return [(one, None if one.image is None else next(known)) for one in batch]


def _encoded(answered: Answered, precision: str) -> Encoded:
    """Files of the map at the size of its image, or the reason why there is none."""
    one, explanation = answered
    if explanation is None:
        return {}, one.reason
    (values,) = explanation.map_list
    if not values.isfinite().all():
        return {}, f"the map of {one.source} is not finite"
    sized = at_size(values, one.size).clamp(0, 1)
    return PRECISIONS[precision](sized) | {"json": _json(explanation)}, ""


def _json(explanation: Explanation) -> bytes:
    """The json beside a map."""
    (target,), (probability,) = explanation.target, explanation.probabilities.tolist()
    return described(target, probability, explanation.captions[0], explanation.names[0])
