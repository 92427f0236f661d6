"""Files of the Hugging Face hub, fetched after one short try whether it can be reached."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from huggingface_hub.utils import get_session  # type: ignore[attr-defined]  # as documented

from explainers.errors import InputError

PATIENCE = 5.0  # seconds for the hub's first answer; its own client would try for a minute

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Names of weights on the hub, the first that is there being taken."""

LOCAL_WEIGHTS = "name local weights (weights: FILE, local-dir:PATH), or pretrained: false"
LOCAL_FOLDER = "name a local folder"

_reached: set[str] = set()


def hub_file(repository: str, names: Sequence[str]) -> Path:
    """Fetch the first of several files that a repository has.

    Args:
        repository: `org/name`, or `org/name@revision`.
        names: of the files.

    Raises:
        InputError: it has none of them, or neither the hub nor its cache can give one.
    """
    identifier, _, revision = repository.partition("@")
    offline = is_offline()
    for name in names:
        try:
            return Path(
                hf_hub_download(
                    identifier, name, revision=revision or None, local_files_only=offline
                )
            )
        except EntryNotFoundError:  # there or, offline, in the cache
            continue
        except Exception as error:
            # huggingface_hub, httpx and requests each raise their own kinds for what is here one
            # thing: it cannot be had.
            reason = " ".join(str(error).split())[:300]
            raise _unfetched(repository, reason, offline, LOCAL_WEIGHTS) from error
    where = "in the cache" if offline else "there"
    reason = f"no {' or '.join(names)} is {where}"
    raise _unfetched(repository, reason, offline, LOCAL_WEIGHTS)


def hub_folder(repository: str, names: Sequence[str]) -> Path:
    """Fetch all of several files that a repository has, into one folder.

    Arguments and errors as of `hub_file`.
    """
    identifier, _, revision = repository.partition("@")
    offline = is_offline()
    try:
        folder = snapshot_download(
            identifier,
            revision=revision or None,
            allow_patterns=list(names),
            local_files_only=offline,
        )
    except LocalEntryNotFoundError as error:
        raise _unfetched(repository, "it is not in the cache", offline, LOCAL_FOLDER) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise _unfetched(repository, reason, offline, LOCAL_FOLDER) from error
    return Path(folder)


def is_offline() -> bool:
    """Whether nothing but the hub's cache can be read: the hub does not answer, or is not asked."""
    if constants.HF_HUB_OFFLINE:
        return True
    if constants.ENDPOINT in _reached:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception:  # noqa: BLE001  of requests or httpx, by huggingface_hub's version
        return True
    _reached.add(constants.ENDPOINT)
    return False


def _unfetched(repository: str, reason: str, offline: bool, way_out: str) -> InputError:
    if offline:
        reason += f", and {constants.ENDPOINT} is not reached; check the connection, or"
    else:
        reason += ";"
    return InputError(f"{repository} cannot be fetched from the hub: {reason} {way_out}")
