"""Generated settings, `_info.json` files and damaged shards: the right samples, or a DataError."""

import io
import json
import tarfile

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from datamodules import ShapesDataModule
from datamodules.errors import DataError
from datamodules.samples.order import ShuffledShards
from datamodules.samples.transforms import evaluation_transform, training_crops
from datamodules.shard_files.index import expected_members, find_shards, index_of
from datamodules.shards import Shards

generated = settings(
    max_examples=300,
    deadline=5000,  # milliseconds; nothing hangs
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    database=None,
)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-2, 64),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)
TRANSFORM = evaluation_transform(8, 1.0)
COUNT = 4


@pytest.fixture
def content(tmp_path, jpeg, write_tar):
    """The bytes of a shard of four samples with labels."""
    members = [(f"s{i}.jpg", jpeg(40 * i, (16, 16))) for i in range(COUNT)]
    labels = [(f"s{i}.cls", b"%d" % i) for i in range(COUNT)]
    path = tmp_path / "valid.tar"
    write_tar(path, [one for pair in zip(members, labels, strict=True) for one in pair])
    return path.read_bytes()


def read(path):
    """Keys and labels of a shard's samples."""
    index_of.cache_clear()
    expected_members.cache_clear()
    shards = Shards(str(path), TRANSFORM)
    return [
        (sample["key"], int(sample["label"]))
        for sample in map(shards.__getitem__, range(len(shards)))
    ]


def outcome(path):
    """Samples of a shard and an empty text, or None and the message of the error."""
    try:
        return read(path), ""
    except DataError as error:
        return None, str(error)


@generated
@given(batch_size=NUMBERS, num_workers=NUMBERS, samples_per_epoch=NUMBERS, size=NUMBERS)
def test_numbers_of_a_datamodule(batch_size, num_workers, samples_per_epoch, size):
    given_ = {"batch_size": batch_size, "num_workers": num_workers}
    try:
        data = ShapesDataModule(size=size, samples_per_epoch=samples_per_epoch, **given_)
    except DataError:
        return
    values = (batch_size, num_workers, samples_per_epoch, size)
    assert all(type(value) is int for value in values)
    assert min(batch_size, samples_per_epoch, size) >= 1
    assert num_workers >= 0
    assert data.size == size


@generated
@given(
    size=NUMBERS,
    resize=NUMBERS,
    crop_fraction=NUMBERS,
    scale=st.one_of(NUMBERS, st.lists(NUMBERS, max_size=3)),
    interpolation=st.one_of(st.sampled_from(["bilinear", "bicubic"]), NUMBERS),
)
def test_numbers_of_transforms(size, resize, crop_fraction, scale, interpolation):
    try:
        evaluation_transform(size, crop_fraction, interpolation)
        assert 0 < size <= 16384
        assert 0 < crop_fraction <= 1
    except DataError:
        pass
    try:
        training_crops(size, resize, scale, interpolation)
        assert 0 < size <= 16384
        assert resize >= size if scale is None else 0 < scale[0] <= scale[1] <= 1
    except DataError:
        pass


class Parts:
    lengths = (2, 3)

    def read(self, part, position):
        return {"key": f"{part}-{position}"}


@generated
@given(together=NUMBERS, seed=NUMBERS, crops=NUMBERS)
def test_numbers_of_the_order_of_training(together, seed, crops):
    try:
        stream = ShuffledShards(Parts(), together, seed, crops)
    except DataError:
        return
    assert len({stream[item]["key"] for item in range(5)}) == 5


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("x.tar")
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
ENTRIES = st.fixed_dictionaries(
    {
        "filenames": st.one_of(VALUES, st.just(["x.tar"])),
        "shard_lengths": st.one_of(VALUES, st.just([COUNT])),
    }
)
INFOS = st.one_of(
    VALUES,
    st.fixed_dictionaries({"splits": st.one_of(VALUES, st.dictionaries(st.text(), ENTRIES))}),
).map(json.dumps)


@generated
@given(info=st.one_of(INFOS, st.text(), st.binary()))
@example(info=json.dumps({"splits": {"x": {"filenames": ["x.tar"], "shard_lengths": [COUNT]}}}))
@example(info="[" * 100_000)
def test_any_info_beside_a_shard(info, content, tmp_path):
    (tmp_path / "x.tar").write_bytes(content)
    text = info if isinstance(info, bytes) else info.encode(errors="surrogatepass")
    (tmp_path / "_info.json").write_bytes(text)
    found, refusal = outcome(tmp_path / "x.tar")
    assert (
        "_info.json" in refusal
        or "x.tar" in refusal
        or found == [(f"s{i}", i) for i in range(COUNT)]
    )


@pytest.mark.parametrize("recorded", [False, True])
@generated
@given(data=st.data())
def test_any_damage_to_the_headers_of_a_shard(data, recorded, content, tmp_path, write_info):
    """Contents have no checksum: what is damaged there may go unseen, or make another picture."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        headers = [member.offset for member in tar]
        end = tar.offset
    damaged = bytearray(content)
    inside = data.draw(st.integers(0, 511))
    start = data.draw(st.sampled_from([*headers, end])) + inside
    for kind in data.draw(
        st.lists(st.sampled_from(["write", "cut", "insert", "drop"]), min_size=1)
    ):
        replacement = data.draw(st.binary(min_size=1, max_size=20))[: 512 - inside]
        if kind == "cut":
            del damaged[start:]
        elif kind == "insert":
            damaged[start:start] = replacement
        elif kind == "drop":
            del damaged[start : start + len(replacement)]
        else:
            damaged[start : start + len(replacement)] = replacement
    assume(len(damaged) != len(content) or sum(damaged) != sum(content))  # all a header can tell
    (tmp_path / "x.tar").write_bytes(damaged)
    if recorded:
        write_info(tmp_path, {"x": {"x.tar": COUNT}})
    found, refusal = outcome(tmp_path / "x.tar")
    assert "x.tar" in refusal or found == [(f"s{i}", i) for i in range(COUNT)]


@generated
@given(content=st.binary(max_size=3000))
def test_any_bytes_are_no_shard(content, tmp_path):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.tar"):
        read(tmp_path / "x.tar")


@generated
@given(pattern=st.one_of(st.text(), st.lists(st.one_of(st.text(), NUMBERS), max_size=2), NUMBERS))
def test_any_pattern_of_shards(pattern, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        found = find_shards(pattern)
    except DataError:
        return
    assert found
    assert all(shard.is_remote for shard in found)  # nothing is in this folder
