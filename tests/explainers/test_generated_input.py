"""Generated values, most of them wrong: each is taken, or refused in one line."""

import contextlib
import inspect
import io
import json

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explainers import PTAME, Explainer, FrozenClassifier
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.errors import InputError
from explainers.from_config import construct
from explainers.methods import METHODS
from explainers.methods.vit.token_explainer import TokenExplainer

SOURCE = {"model": "test_resnet", "pretrained": False, "num_classes": 3}
TRANSFORMER = SOURCE | {"model": "test_vit"}

# Whole numbers are small, or beyond every limit: no value in between, which would cost memory.
WHOLE = st.integers(-5, 9) | st.sampled_from([2**31, 2**63, 2**64, 10**30, -(10**30)])
PLAIN = (
    st.none()
    | st.booleans()
    | WHOLE
    | st.sampled_from([float("nan"), float("inf"), -float("inf"), -0.0, 0.3, -2.5, 1e300, 1e-300])
    | st.sampled_from(["", " ", "x", "0", "-1", "nan", "1e400", "minmax", "\x00", "\udcff", "../x"])
    | st.text(max_size=4)
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=5,
)
LISTS = st.lists(WHOLE, max_size=4) | st.lists(PLAIN, max_size=4)
VALUES = ANYTHING | LISTS
MODELS = st.sampled_from(["test_resnet", "test_vit", "nowhere", "module:X", "package:x", "a.b"])
CLASSIFIERS = ANYTHING | st.fixed_dictionaries(
    {"model": MODELS | PLAIN, "pretrained": st.just(False)},
    optional={
        "num_classes": VALUES,
        "mean": VALUES | st.lists(PLAIN, min_size=3, max_size=3),
        "std": VALUES | st.lists(PLAIN, min_size=3, max_size=3),
        "size": VALUES | st.lists(WHOLE, min_size=2, max_size=2),
        "class_names": VALUES,
        "fold_batch_norm": PLAIN,
        "redraw_seed": PLAIN,
        "weights": VALUES,
        "modle": PLAIN,
    },
)
BOUNDED = settings(
    max_examples=120,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def one_or_more(entries):
    """A mapping of any of these entries, or of one alone: the rest is then as it should be."""
    alone = [st.fixed_dictionaries({name: values}) for name, values in entries.items()]
    return st.one_of(*alone) | st.fixed_dictionaries({}, optional=entries)


def require_short(message):
    assert 0 < len(message) < 2000


@contextlib.contextmanager
def one_line():
    """An InputError is an answer, if its message is short; any other exception is a bug."""
    with contextlib.suppress(InputError):
        try:
            yield
        except InputError as error:
            require_short(str(error))
            raise


@BOUNDED
@given(CLASSIFIERS)
def test_classifier_is_built_or_refused(source):
    with one_line():
        classifier = FrozenClassifier.of(source)
        height, width = classifier.size
        assert height * width <= 2**24
        if height * width <= 2**12:
            assert classifier(torch.zeros(1, 3, height, width)).isfinite().all()


def _options(kind):
    names = [name for name in inspect.signature(kind).parameters if name != "classifier"]
    return st.dictionaries(st.sampled_from([*names, "unknown"]), VALUES, max_size=2)


@pytest.mark.parametrize("name", METHODS)
@settings(BOUNDED, max_examples=40)
@given(data=st.data())
def test_hyperparameters_of_a_method_are_taken_or_refused(name, data):
    kind = METHODS[name]
    options = data.draw(_options(kind))
    defaults = {}
    if name == "PTAME":
        defaults = {"auxiliary": SOURCE}
    network = TRANSFORMER if issubclass(kind, TokenExplainer) or name == "RCut" else SOURCE
    with one_line():
        explainer = construct(kind, defaults | options, name, classifier=network)
        assert type(explainer) is kind


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    torch.manual_seed(0)
    torch.save(FrozenClassifier.of(SOURCE).model.state_dict(), folder / "weights.pth")
    source = {"model": "test_resnet", "weights": str(folder / "weights.pth")}
    return save_bundle(PTAME(source, source), folder / "bundle", {}, [], None)


HYPERPARAMETERS = list(inspect.signature(PTAME).parameters)
CHANGES = one_or_more(
    {
        "format": VALUES,
        "class": VALUES,
        "fingerprints": VALUES,
        "training": VALUES,
        "scores": VALUES,
        "hyperparameters": ANYTHING
        | st.dictionaries(st.sampled_from(HYPERPARAMETERS), VALUES | CLASSIFIERS, max_size=2),
    }
)


@BOUNDED
@given(CHANGES)
def test_config_of_a_bundle_is_taken_or_refused(bundle, changes):
    path = bundle / "config.json"
    before = path.read_text()
    config = json.loads(before)
    for key, value in changes.items():
        merged = key == "hyperparameters" and isinstance(value, dict)
        config[key] = config[key] | value if merged else value
    try:
        path.write_text(json.dumps(config))
        with one_line():
            assert isinstance(load_explainer(bundle), Explainer)
    finally:
        path.write_text(before)


COMPARISON = {
    "classifier": SOURCE,
    "data": {
        "class_path": "datamodules.ShapesDataModule",
        "init_args": {"length": 2, "size": 32, "batch_size": 2},
    },
    "methods": {"am": {"class_path": "explainers.ActivationMap"}},
    "metrics": ["average_drop"],
}
DESCRIPTIONS = ANYTHING | st.fixed_dictionaries(
    {"class_path": PLAIN | st.sampled_from(["explainers.FAM", "explainers.PTAME", "os.system"])},
    optional={"init_args": ANYTHING | st.dictionaries(st.sampled_from(["stage", "lr"]), VALUES)},
)
ENTRIES = one_or_more(
    {
        "classifier": CLASSIFIERS,
        "data": DESCRIPTIONS,
        "methods": ANYTHING | st.dictionaries(st.text(max_size=4), DESCRIPTIONS, max_size=2),
        "metrics": VALUES,
        "chunk_size": PLAIN,
        "panel_images": PLAIN,
        "references": PLAIN,
        "map_normalisation": PLAIN,
        "unknown": PLAIN,
    }
)


@pytest.mark.slow
@BOUNDED
@given(ENTRIES | st.binary(max_size=20))
def test_comparison_is_run_or_refused_in_one_line(tmp_path_factory, entries):
    folder = tmp_path_factory.mktemp("comparison")
    if isinstance(entries, bytes):
        (folder / "config.yaml").write_bytes(entries)
    else:
        text = yaml.safe_dump(COMPARISON | entries, allow_unicode=False)
        (folder / "config.yaml").write_text(text)
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(io.StringIO()):
        chosen = ["--config", str(folder / "config.yaml"), "--output", str(folder / "out")]
        code = main(["compare", *chosen])
    assert code in (0, 2)
    if not (folder / "out/results.json").exists():
        assert code == 2
        last = printed.getvalue().splitlines()[-1]
        assert last.startswith("error: ")
    assert "Traceback" not in printed.getvalue()
