"""Image sources: the undecoded images of a folder, of a list, or of shards."""

from abc import ABC, abstractmethod
from glob import has_magic
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

from datamodules.errors import DataError, UnreadableError
from datamodules.samples.checks import check_path
from datamodules.samples.image_files import EXTENSIONS
from datamodules.samples.image_listing import find_images, images_below
from datamodules.samples.order import within
from datamodules.shard_files.audit import shards_of
from datamodules.shard_files.fetching import PIPE, REMOTE
from datamodules.shard_files.index import index_of, members_of


class ImageSource(ABC):
    """A fixed list of images."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def key(self, index: int) -> str:
        """Name of the image; in shards, several may have the same."""

    @abstractmethod
    def source(self, index: int) -> str:
        """Place of the image: its file, and the key in it."""

    @abstractmethod
    def read(self, index: int) -> bytes:
        """The image's file.

        Raises:
            UnreadableError: it cannot be read, or there is none.
        """

    @abstractmethod
    def digest(self) -> str:
        """Digest of the list, not of the content of its files."""


class FileSource(ImageSource):
    """The images in a folder and below it, or those that a list names.

    Args:
        source: the folder, or the list as `find_images` takes it.

    Raises:
        DataError: there is no image.
    """

    def __init__(self, source: Path) -> None:
        self.images = images_below(source) if source.is_dir() else find_images(source)[0]
        if not self.images:
            raise DataError(f"no image in {source.absolute()} or below it; name a folder of images")

    def __len__(self) -> int:
        return len(self.images)

    def key(self, index: int) -> str:
        """Its path below the folder, without dots and slashes."""
        return self.images[index].key

    def source(self, index: int) -> str:
        """Its path."""
        return str(self.images[index].path)

    def read(self, index: int) -> bytes:
        """The image's file; raises as every source's does."""
        path = self.images[index].path
        try:
            return path.read_bytes()
        except OSError as error:
            raise UnreadableError(str(path.parent), path.name, str(error)) from error

    def digest(self) -> str:
        """Of the keys and the sizes of the files."""
        digest = sha256()
        for image in self.images:
            digest.update(f"{image.key} {image.path.stat().st_size}\n".encode())
        return digest.hexdigest()


class ShardSource(ImageSource):
    """The images of tar files, one after the other.

    Args:
        source: a folder of shards, or what `find_shards` takes.

    Raises:
        DataError: a shard is missing, or is not a whole tar file.
    """

    def __init__(self, source: str) -> None:
        self.paths = shards_of([source])
        self.lengths = [len(index_of(path)) for path in self.paths]
        self._ends = list(accumulate(self.lengths))
        if not len(self):
            raise DataError(f"no sample in {source}; name shards that hold some")

    def __len__(self) -> int:
        return self._ends[-1]

    def key(self, index: int) -> str:
        """Its key in the shard."""
        shard, position = within(self._ends, index)
        key: str = index_of(self.paths[shard])[position][0]
        return key

    def source(self, index: int) -> str:
        """The shard's path, two colons, and the key."""
        return f"{self.paths[within(self._ends, index)[0]]}::{self.key(index)}"

    def read(self, index: int) -> bytes:
        """The image's member; raises as every source's does."""
        shard, position = within(self._ends, index)
        path = self.paths[shard]
        key, members = index_of(path)[position]
        try:
            image = next((name for name in EXTENSIONS if name in members), None)
            if image is None:
                raise ValueError(f"has no jpg or other image, only {', '.join(members)}")
            return members_of(path, position, [image])[image]
        except DataError:
            raise
        except ValueError as error:
            raise UnreadableError(str(path), key, str(error)) from error

    def digest(self) -> str:
        """Of the names, lengths and sizes of the shards."""
        digest = sha256()
        for path, length in zip(self.paths, self.lengths, strict=True):
            digest.update(f"{path.name} {length} {path.stat().st_size}\n".encode())
        return digest.hexdigest()


def image_source_of(source: str) -> ImageSource:
    """The images of a folder of images or of shards, of a list, or of shards by their pattern.

    Raises:
        DataError: there is no such thing, or no image in it.
    """
    check_path("the source of the images", source)
    path = Path(source)
    remote = source.startswith((*REMOTE, PIPE))
    if remote or path.suffix == ".tar" or (has_magic(source) and not path.exists()):
        return ShardSource(source)
    if path.is_dir() and any(path.glob("*.tar")):
        return ShardSource(source)
    return FileSource(path)
