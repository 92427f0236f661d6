"""Configs and bundles of the package are found by name, and the user's own go before them."""

from pathlib import Path

import pytest

from explainers.shipped import bundle_path, config_path, shipped_bundles, shipped_configs

BUNDLE = "ptame_plus-efficientnet_lite0"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("source", ["demo", "demo.yaml", "configs/demo.yaml"])
def test_config_of_the_package_is_found_from_any_folder(source):
    assert config_path(source) == shipped_configs()["demo"]
    assert config_path(Path(source)).is_file()


@pytest.mark.parametrize("source", [BUNDLE, f"checkpoints/{BUNDLE}", f"checkpoints/{BUNDLE}/"])
def test_bundle_of_the_package_is_found_from_any_folder(source):
    assert bundle_path(source) == shipped_bundles()[BUNDLE]
    assert (bundle_path(source) / "model.safetensors").is_file()


def test_the_users_own_files_go_before_those_of_the_package():
    own = Path("checkpoints") / BUNDLE
    own.mkdir(parents=True)
    assert bundle_path(own) == shipped_bundles()[BUNDLE]  # the folder holds no bundle
    (own / "config.json").touch()
    assert bundle_path(own) == own
    Path("demo").mkdir()
    assert config_path("demo") == shipped_configs()["demo"]
    Path("demo.yaml").touch()
    assert config_path("demo.yaml") == Path("demo.yaml")


@pytest.mark.parametrize("source", ["", ".", "..", "/demo", "other/demo.yaml", "demo.json", "{}"])
def test_other_names_are_left_as_they_are(source):
    assert config_path(source) == Path(source)
    assert bundle_path(source) == Path(source)
