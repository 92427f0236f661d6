import os
import time

import pytest

from explainers.app.temporary_files import TemporaryFiles


@pytest.fixture
def put(tmp_path):
    def put(name, age):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        for one in (path, path.parent):
            os.utime(one, (one.stat().st_mtime - age,) * 2)
        return path

    return put


def test_old_files_and_empty_folders_are_swept_away(tmp_path, put):
    with TemporaryFiles(tmp_path, 900) as files:
        example = put("example/a.png", 2000)
        files.start()
        old, young = put("old/a.png", 1000), put("young/a.png", 100)
        (tmp_path / "empty").mkdir()
        os.utime(tmp_path / "empty", (0, 0))
        files.sweep()
        assert {path for path in tmp_path.rglob("*") if path.is_file()} == {example, young}
        assert not (tmp_path / "empty").exists()
        os.utime(old.parent, (0, 0))
        files.sweep()
        assert not old.parent.exists()


def test_nothing_is_swept_away_before_the_start(tmp_path, put):
    with TemporaryFiles(tmp_path, 0.1) as files:
        example = put("example/a.png", 2000)
        time.sleep(0.3)
        files.start()
        time.sleep(0.3)
    assert example.exists()


def test_files_are_swept_away_though_nobody_asks(tmp_path, put):
    with TemporaryFiles(tmp_path, 0.5) as files:
        files.start()
        path = put("a/b.png", 0)
        assert path.exists()
        end = time.monotonic() + 20
        while path.parent.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert not path.parent.exists()
    late = put("late/b.png", 1000)  # the clock has stopped
    time.sleep(0.2)
    assert late.exists()
