from datamodules.shard_files.index import index_of


def test_index_is_that_of_tarfile_for_names_of_every_kind(tmp_path, write_tar):
    names = ["plain.jpg", "folder/" + 20 * "long" + "/" + 30 * "name" + ".jpg", "grün.jpg", "z.jpg"]
    write_tar(tmp_path / "names.tar", [(name, name.encode()) for name in names])
    write_tar(tmp_path / "plain.tar", [(name, name.encode()) for name in (names[0], names[3])])
    for path, count in ((tmp_path / "names.tar", 4), (tmp_path / "plain.tar", 2)):
        index = index_of(path)
        assert len(index) == count
        content = path.read_bytes()
        for key, members in index:
            start, size = members["jpg"]
            assert content[start : start + size].decode() == f"{key}.jpg"
