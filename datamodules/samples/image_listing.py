"""Image files below a folder or in a list, with the class of each where they tell it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import DataError, system_errors_named
from datamodules.samples.image_files import EXTENSIONS
from datamodules.samples.labels import label_of

MASK = ".mask.png"


@dataclass(frozen=True)
class ImageFile:
    """An image file and its annotations.

    Attributes:
        path: of the file.
        key: unlike any other's, without dots and slashes: its path below the folder.
        label: its class, or None where it is unknown.
        mask: the `NAME.mask.png` beside it, or None.
    """

    path: Path
    key: str
    label: int | None
    mask: Path | None


def find_images(source: Path) -> tuple[list[ImageFile], list[str] | None]:
    """List the images of a folder, by name, or of a list, in its order; and their classes.

    A folder holds images, or one folder for each class. A list has a path a line, relative to its
    own folder, followed by a space or tab and the class's number if the classes are known.

    Returns:
        The images; and the classes' folders, in the order of their labels, if there are any.

    Raises:
        DataError: there is no image, or its class is not clear.
    """
    with system_errors_named(source):
        if source.is_file():
            images, classes = _listed(source), None
        elif source.is_dir():
            images, classes = _found(source)
        else:
            raise DataError(f"no folder or list of images at {source.absolute()}; name one")
    if not images:
        raise DataError(
            f"no image in {source.absolute()}; files that end in "
            f"{', '.join('.' + name for name in EXTENSIONS)} are taken for images"
        )
    return images, classes


def image_paths(folder: Path) -> list[Path]:
    """List the image files in a folder and below it, by name; no masks, nothing hidden."""
    return sorted(_walk(folder))


def images_below(folder: Path) -> list[ImageFile]:
    """List the images in a folder and anywhere below it, by name and without classes."""
    paths = image_paths(folder)
    return _images(paths, folder, [None] * len(paths))


def _found(folder: Path) -> tuple[list[ImageFile], list[str] | None]:
    own = [path for path in folder.iterdir() if path.is_file() and _is_image(path.name)]
    classes = sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if own or not classes:
        if classes:
            raise DataError(
                f"{folder.absolute()} holds both images ({min(own).name}) and folders "
                f"({classes[0]}); put every image into the folder of its class, or none"
            )
        return _images(sorted(own), folder, [None] * len(own)), None
    paths: list[Path] = []
    labels: list[int | None] = []
    for label, name in enumerate(classes):
        inside = image_paths(folder / name)
        if not inside:
            raise DataError(f"no image in {folder.absolute() / name}, the folder of a class")
        paths += inside
        labels += [label] * len(inside)
    return _images(paths, folder, labels), classes


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not _leads_back(Path(parent, name))
        ]  # the others are not walked
        yield from (Path(parent, name) for name in names if _is_image(name))


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that it is in, and so holds itself again and again."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _is_image(name: str) -> bool:
    extension = name.rpartition(".")[2].lower()
    return extension in EXTENSIONS and not name.startswith(".") and not name.endswith(MASK)


def _listed(source: Path) -> list[ImageFile]:
    paths: list[Path] = []
    labels: list[int | None] = []
    for line in filter(None, map(str.strip, _text(source).splitlines())):
        name, _, label = line.replace("\t", " ").rpartition(" ")
        known = bool(name) and label.isascii() and label.isdecimal()
        path = source.parent / (name.strip() if known else line)
        try:
            if known or (name and (source.parent / name.strip()).is_file() and not path.is_file()):
                label_of(label.encode())
        except ValueError as error:
            raise DataError(
                f"{source.absolute()}: the image {name.strip()!r} {error}; correct the line"
            ) from error
        if not path.is_file():
            raise DataError(
                f"{source.absolute()} names {str(path)!r:.200}, which is not there; a list has a "
                "path a line, relative to its folder"
            )
        paths.append(path)
        labels.append(int(label) if known else None)
    if len({label is None for label in labels}) > 1:
        without = paths[labels.index(None)]
        raise DataError(f"{source.absolute()} gives some images a class and {without} none")
    return _images(paths, source.parent, labels)


def _text(source: Path) -> str:
    if source.suffix[1:].lower() in EXTENSIONS:
        raise DataError(f"{source.absolute()} is an image; name its folder, or a list of images")
    try:
        text = source.read_text()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source.absolute()} is no list of images, as it is no text; name a folder, or a file "
            "with a path a line"
        ) from error
    if "\0" in text:
        raise DataError(f"{source.absolute()} is no list of images, as it holds bytes of 0")
    return text


def _images(paths: list[Path], folder: Path, labels: list[int | None]) -> list[ImageFile]:
    images = []
    taken: set[str] = set()
    for path, label in zip(paths, labels, strict=True):
        inside = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
        parts = [part for part in inside.with_suffix("").parts if part != ".."]
        base = key = "_".join(parts).replace(".", "_")
        number = 1
        while key in taken:
            number += 1
            key = f"{base}-{number}"
        taken.add(key)
        mask = path.with_name(path.stem + MASK)
        images.append(ImageFile(path, key, label, mask if mask.is_file() else None))
    return images
