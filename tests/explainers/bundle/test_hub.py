"""Sharing a bundle, with a hub that writes down what it is asked."""

import inspect
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi

from explainers import PTAME
from explainers.bundle.hub import push_to_hub
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle
from explainers.errors import InputError
from explainers.evaluation.evaluator import CONFIDENCE_METRICS


class FakeHub:
    """Stands for HfApi: keeps the calls, and the files as they are while the upload lasts."""

    calls: list
    files: dict

    def __init__(self, token=None):
        FakeHub.calls = [("token", token)]
        FakeHub.files = {}

    def create_repo(self, repo_id, **options):
        inspect.signature(HfApi.create_repo).bind(self, repo_id, **options)
        self.calls.append(("create_repo", repo_id, options))
        return f"https://huggingface.co/{repo_id}"

    def upload_folder(self, **options):
        inspect.signature(HfApi.upload_folder).bind(self, **options)
        self._upload(**options)

    def _upload(self, repo_id, folder_path, commit_message):
        self.calls.append(("upload_folder", repo_id, commit_message))
        FakeHub.files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("explainers.bundle.hub.HfApi", FakeHub)
    monkeypatch.setattr("explainers.bundle.hub.is_offline", lambda: False)
    return FakeHub


@pytest.fixture
def explainer(tmp_path):
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    path = tmp_path / "weights.pth"
    torch.save(PTAME(source, source).classifier.model.state_dict(), path)
    return PTAME(*[{"model": "test_resnet", "weights": str(path)}] * 2)


@pytest.fixture
def bundle(explainer, tmp_path):
    row = {"explainer": "ptame"} | dict.fromkeys(CONFIDENCE_METRICS, 12.5)
    return save_bundle(explainer, tmp_path / "bundle", {"steps": 3}, [row], torch.rand(3, 8, 8))


def test_folder_is_uploaded_with_a_card_that_names_the_repository(bundle, hub):
    (bundle / "notes.txt").write_text("private")
    before = (bundle / "README.md").read_text()
    page = push_to_hub(bundle, "org/ptame-tiny", private=True, message="First", token="secret")
    assert page == "https://huggingface.co/org/ptame-tiny"
    assert hub.calls == [
        ("token", "secret"),
        ("create_repo", "org/ptame-tiny", {"private": True, "exist_ok": True}),
        ("upload_folder", "org/ptame-tiny", "First"),
    ]
    assert set(hub.files) == {"config.json", "model.safetensors", "README.md", "panel.png"}
    text = hub.files["README.md"].decode()
    assert text.startswith("---\nlicense: apache-2.0\n")
    assert "# ptame-tiny" in text
    assert "--checkpoint hf-hub:org/ptame-tiny " in text
    assert "12.50" in text
    assert (bundle / "README.md").read_text() == before


def test_explainer_is_uploaded_as_a_bundle_that_loads(explainer, hub, tmp_path, images):
    push_to_hub(explainer, "org/mine")
    folder = tmp_path / "fetched"
    folder.mkdir()
    for name, content in hub.files.items():
        (folder / name).write_bytes(content)
    assert set(hub.files) == {"config.json", "model.safetensors", "README.md"}
    torch.testing.assert_close(load_explainer(folder)(images), explainer(images), rtol=0, atol=0)
    assert "None were recorded" in hub.files["README.md"].decode()


def test_refusal_of_the_hub_is_one_line_with_a_way_out(bundle, hub, monkeypatch):
    def refuse(*_, **__):
        raise OSError("401 Client Error\nUnauthorized")

    monkeypatch.setattr(hub, "create_repo", refuse)
    with pytest.raises(InputError, match="org/x: 401 Client Error Unauthorized; run hf auth login"):
        push_to_hub(bundle, "org/x")


@pytest.mark.parametrize("repository", ["name", "org/", "/name", "a/b/c"])
def test_repository_has_an_owner_and_a_name(bundle, hub, repository):
    with pytest.raises(InputError, match="must be org/name"):
        push_to_hub(bundle, repository)


def test_folder_without_a_bundle_is_not_uploaded(hub, tmp_path):
    hub.calls = []
    with pytest.raises(InputError, match="no bundle at"):
        push_to_hub(tmp_path, "org/x")
    assert hub.calls == []


def test_incomplete_bundle_is_not_uploaded(bundle, hub):
    hub.calls = []
    (bundle / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        push_to_hub(bundle, "org/x")
    assert hub.calls == []


def test_hub_that_is_not_reached_is_one_line(bundle, monkeypatch):
    monkeypatch.setattr("explainers.bundle.hub.is_offline", lambda: True)
    with pytest.raises(InputError, match=r"org/mine cannot be written, as https://\S+ is not"):
        push_to_hub(bundle, "org/mine")


def test_paths_of_this_machine_stay_here(bundle, hub, tmp_path):
    assert str(tmp_path) in (bundle / "config.json").read_text()
    push_to_hub(bundle, "org/mine")
    config = hub.files["config.json"].decode()
    assert str(tmp_path) not in config
    assert '"weights": "weights.pth"' in config
    (tmp_path / "fetched").mkdir()
    for name, content in hub.files.items():
        (tmp_path / "fetched" / name).write_bytes(content)
    load_explainer(tmp_path / "fetched")  # finds weights.pth beside it
