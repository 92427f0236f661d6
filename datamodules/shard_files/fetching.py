"""Fetching of shards from a disk, an http server, or a command's output.

A shard that is not on a disk is fetched to a cache when it is first read, whole, once a machine.
"""

import fcntl
import logging
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from datamodules.errors import DataError, MissingShardError
from datamodules.shard_files.durable import atomic_write, partial_path
from datamodules.shard_files.tar_scan import scan_tar

CACHE = Path("~/.cache/learned-explainers/shards")
PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds before each further attempt
SILENCE = 60.0  # seconds without an answer after which an attempt is given up
REMOTE = ("http://", "https://")
PIPE = "pipe:"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    """Tar file of samples, local or fetched.

    Attributes:
        address: a path, an http(s) URL, or `pipe:` and a shell command that prints it.
        cache: folder that it is fetched to, if it is not a path.
    """

    address: str
    cache: Path = CACHE

    @property
    def name(self) -> str:
        """Its file's name, where it has one."""
        if self.address.startswith(PIPE):
            return self.address
        return PurePosixPath(urlsplit(self.address).path if self.is_remote else self.address).name

    def check_address(self) -> None:
        """Refuse an address without a server, or without a command; ValueError says so."""
        if self.address.startswith(PIPE) and not self.address.removeprefix(PIPE).strip():
            raise ValueError("no command after pipe:")
        if self.address.startswith(REMOTE) and not urlsplit(self.address).hostname:
            raise ValueError("no server in the address")

    @property
    def is_remote(self) -> bool:
        """Whether it has to be fetched."""
        return self.address.startswith((*REMOTE, PIPE))

    @property
    def path(self) -> Path:
        """Its path on the disk, once it has been fetched.

        Raises:
            MissingShardError: it is not there.
            DataError: it cannot be fetched.
        """
        if not self.is_remote:
            return Path(self.address)
        folder = self.cache.expanduser()
        digest = sha256(self.address.encode()).hexdigest()[:16]
        path = folder / f"{digest}.tar"
        try:
            if path.is_file():
                return path
            folder.mkdir(parents=True, exist_ok=True)
            with path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the process ends, however it does
                if not path.is_file():
                    self._fetch_to(path)
        except OSError as error:
            if isinstance(error, MissingShardError):
                raise
            raise DataError(
                f"cannot keep {self.address} in {folder} ({error.strerror or error}); free some "
                "space, or name another cache"
            ) from error
        return path

    def beside(self, name: str) -> str | None:
        """The address of a file of another name in the same folder; None beside a pipe."""
        if self.address.startswith(PIPE):
            return None
        if not self.is_remote:
            return str(Path(self.address).parent / name)
        parts = urlsplit(self.address)
        return parts._replace(path=str(PurePosixPath(parts.path).parent / name)).geturl()

    def _fetch_to(self, path: Path) -> None:
        fetch = from_command if self.address.startswith(PIPE) else from_http

        def attempt() -> None:
            with atomic_write(path) as file:
                fetch(self.address, file)
                _check_tar(file, partial_path(path))

        persistently(attempt, self.address)


def persistently(attempt: Callable[[], None], address: str) -> None:
    """Try until it works, with growing pauses.

    Raises:
        DataError: it did not in the end; MissingShardError, at once, if there is nothing there.
    """
    others = 0  # answers that are no shard; they seldom change
    for pause in (*PAUSES, None):
        try:
            return attempt()
        except HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise MissingShardError(f"no shard at {address} ({error})") from error
            reason: Exception = error
        except (URLError, HTTPException, ConnectionError, TimeoutError, _CutOff) as error:
            reason = error
        except _NotShardError as error:
            others += 1
            if others > 1:
                raise DataError(
                    f"{address} gave no shard, twice: {error}; open it to see what it answers, and "
                    "correct the address"
                ) from error
            reason = error
        except DataError:
            raise
        except ValueError as error:  # of the address, or of what the server says of its answer
            raise DataError(f"{address} cannot be fetched ({error}); correct it") from error
        if pause is None:
            raise DataError(
                f"{address} failed {len(PAUSES) + 1} times, the last time with: {reason}; see "
                "whether it can be reached, and run again"
            ) from reason
        logger.warning("%s: %s; trying again in %g seconds", address, reason, pause)
        time.sleep(pause)
    return None


class _CutOff(Exception):
    """Less came than was promised."""


class _NotShardError(Exception):
    """Something else than a shard came."""


def _check_tar(file: BinaryIO, path: Path) -> None:
    """Refuse what was fetched if it is not a whole tar file."""
    file.flush()
    try:
        scan_tar(path)
    except tarfile.TarError as error:
        file.seek(0)
        start = file.read(40)
        size = path.stat().st_size
        raise _NotShardError(
            f"{size} bytes that begin with {start!r} and are no whole tar file ({error})"
            if size
            else "an empty answer"
        ) from error


def from_http(address: str, file: BinaryIO) -> None:
    """Copy what a server answers; raises what `urllib` does, and if less comes than promised."""
    with urlopen(address, timeout=SILENCE) as answer:
        shutil.copyfileobj(answer, file, 1 << 20)
        promised = answer.headers.get("Content-Length")
    if promised is not None and int(promised) != file.tell():
        raise _CutOff(f"{file.tell()} of {promised} bytes came")


def from_command(address: str, file: BinaryIO) -> None:
    """Copy what a shell command prints; it has to end with exit code 0."""
    command = address.removeprefix(PIPE)
    done = subprocess.run(command, shell=True, stdout=file, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise _CutOff(f"ended with exit code {done.returncode}")
