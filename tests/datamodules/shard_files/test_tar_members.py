import tarfile

import pytest

from datamodules.shard_files.tar_members import packed_size, room_for_samples, write_member


def packed(tmp_path, key, members):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for extension, content in members.items():
            write_member(tar, f"{key}.{extension}", content)
        return tar.offset


def test_size_of_a_plain_sample_is_exact(tmp_path):
    members = {"jpg": b"x" * 1000, "mask.png": b"x" * 512, "cls": b"7", "json": b""}
    sizes = [len(content) for content in members.values()]
    for key in ("a", "k" * 89):
        # Headers and content: 1 + 2, 1 + 1, 1 + 1 and 1 + 0 blocks.
        assert packed_size(key, sizes) == packed(tmp_path, key, members) == 8 * 512


@pytest.mark.parametrize("key", ["k" * 90, "k" * 300, "grün", "d" * 80 + "/" + "k" * 100])
def test_size_of_a_sample_of_a_long_name_is_the_most_it_can_be(key, tmp_path):
    members = {"jpg": b"x" * 1000, "mask.png": b"x"}
    assert packed_size(key, [1000, 1]) >= packed(tmp_path, key, members)
    assert packed_size(key, [1000, 1]) == (5 + 2 * 3) * 512


def test_room_is_that_of_whole_records_less_the_end_of_the_archive():
    assert room_for_samples(20 * 1024) == 20 * 1024 - 1024
    assert room_for_samples(20 * 1024 - 1) == 10 * 1024 - 1024


def test_members_are_the_same_whoever_writes_them_and_whenever(tmp_path):
    packed(tmp_path, "a", {"cls": b"7"})
    with tarfile.open(tmp_path / "x.tar") as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.size, member.mode) == ("a.cls", 1, 0o644)
        assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
