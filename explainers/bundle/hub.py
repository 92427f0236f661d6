"""Sharing a bundle on the Hugging Face hub, from where `load_explainer("hf-hub:…")` takes it."""

import json
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, constants

from explainers.bundle.card import write_card
from explainers.bundle.frozen_sources import bare_sources
from explainers.bundle.saving import save_bundle
from explainers.classifier.sources.hub_files import is_offline
from explainers.errors import InputError
from explainers.training.bundle_files import FILES, bundle_folder, read_config
from explainers.training.learned_explainer import LearnedExplainer


def push_to_hub(
    source: LearnedExplainer | str | Path,
    repository: str,
    *,
    private: bool = False,
    message: str = "Upload a bundle of learned-explainers",
    token: str | None = None,
) -> str:
    """Upload a bundle's files, and return the page they are on.

    The card is made anew from config.json, so that its commands name the repository. Nothing but
    the files of a bundle leaves the machine, and of weights' files there no more than their names.

    Args:
        source: a bundle's folder; or an explainer, whose bundle then tells of no scores.
        repository: `org/name`; created if it does not exist.
        private: for a repository that is created.
        message: of the commit.
        token: of the hub; by default the one that `hf auth login` stored.

    Raises:
        InputError: the folder holds no bundle, or the hub refuses.
    """
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise InputError(f"the repository must be org/name, got {repository!r}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / repository.rpartition("/")[2]
        if isinstance(source, LearnedExplainer):
            save_bundle(source, folder, {}, [], None)
        else:
            _copy(bundle_folder(source), folder)
        config = read_config(folder / "config.json")
        bare = config | {"hyperparameters": bare_sources(config["hyperparameters"])}
        if bare != config:
            (folder / "config.json").write_text(json.dumps(bare, indent=2))
        write_card(folder, f"hf-hub:{repository}")
        if is_offline():
            raise InputError(
                f"{repository} cannot be written, as {constants.ENDPOINT} is not reached; check the "
                "connection"
            )
        api = HfApi(token=token)
        try:
            page = api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
        except Exception as error:
            # huggingface_hub and httpx each raise their own kinds for what is here one thing.
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"the hub did not take {repository}: {reason}; run hf auth login, or pass a token "
                "that may write there"
            ) from error
    return str(page)


def _copy(bundle: Path, folder: Path) -> None:
    read_config(bundle / "config.json")
    if not (bundle / "model.safetensors").is_file():
        raise InputError(f"{bundle.resolve()} has no model.safetensors; write the bundle again")
    folder.mkdir()
    for name in FILES:
        if (bundle / name).is_file():
            shutil.copyfile(bundle / name, folder / name)
