"""The page of the bundles is what its command writes."""

import json
import shutil
from pathlib import Path

import pytest

from explainers.bundle.zoo import published_bundles, zoo_page

ROOT = Path(__file__).parents[3]
ROW = {"average_gain": 20.0, "average_gain_interval": [10.0, 30.0]}


def test_page_is_what_the_command_writes():
    written = (ROOT / "docs/zoo.md").read_text()
    assert written == zoo_page(published_bundles()), "run python -m explainers.bundle.zoo"


@pytest.fixture
def bundle(tmp_path):
    (source, *_) = published_bundles().values()
    return Path(shutil.copytree(source, tmp_path / "mine"))


@pytest.mark.parametrize("compared", [True, False])
def test_bundle_stands_beside_grad_cam_once_it_was_compared(bundle, compared):
    path = bundle / "comparison.json"
    path.unlink(missing_ok=True)
    if compared:
        rows = [{"explainer": name, **ROW} for name in ("mine", "grad_cam", "ones")]
        path.write_text(json.dumps({"rows": rows, "protocol": {"map": "min-max"}}))
    page = zoo_page({"mine": bundle})
    assert ("| grad_cam | 20.0 [10.0, 30.0] |" in page) == compared
    assert ("Not compared with Grad-CAM yet." in page) != compared
    assert ("| ones | 20.0 [10.0, 30.0] |" in page) == compared


def test_page_tells_of_a_bundle_without_scores_or_training(bundle):
    config = json.loads((bundle / "config.json").read_text())
    for key in ("scores", "training", "protocol", "license"):
        del config[key]
    (bundle / "config.json").write_text(json.dumps(config))
    page = zoo_page({"mine": bundle})
    assert 'load_explainer("mine")' in page
    assert "trained on `not recorded`" in page
