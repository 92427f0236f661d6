import errno
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from datamodules import ShardsDataModule
from datamodules.errors import DataError
from datamodules.samples.transforms import evaluation_transform
from datamodules.shard_files.fetching import Shard
from datamodules.shard_files.index import find_shards, index_of
from datamodules.shards import Shards

TO_TENSOR = evaluation_transform(32, 1.0)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("datamodules.shard_files.fetching.PAUSES", (0.0, 0.0))


@pytest.fixture
def folder(tmp_path, jpeg, write_tar):
    """Two shards of two and three samples."""
    (tmp_path / "shards").mkdir()
    for number, length in enumerate((2, 3)):
        members = [(f"{number}-{one}.jpg", jpeg(20 * one)) for one in range(length)]
        write_tar(tmp_path / f"shards/p-{number}.tar", members)
    info = {"filenames": ["p-0.tar", "p-1.tar"], "shard_lengths": [2, 3], "num_samples": 5}
    (tmp_path / "shards/_info.json").write_text(json.dumps({"splits": {"p": info}}))
    return tmp_path / "shards"


class Server:
    """Serves a folder; the first answers to each path may go wrong.

    Attributes:
        failures: what goes wrong first, by path: a status, `cut` for half of the content, or another
            content.
        asked: the paths that were asked for.
    """

    def __init__(self, folder):
        self.failures = {}
        self.asked = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                server.asked.append(path)
                fault = server.failures.get(path, []).pop(0) if server.failures.get(path) else None
                file = folder / path.strip("/")
                if isinstance(fault, int) or not file.is_file():
                    self.send_error(fault or 404)
                    return
                content = file.read_bytes()
                if isinstance(fault, bytes):
                    content, fault = fault, None
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server(folder):
    one = Server(folder)
    yield one
    one.http.shutdown()
    one.http.server_close()


def keys(shards):
    return [shards[index]["key"] for index in range(len(shards))]


def test_shards_of_a_server_are_fetched_when_they_are_read_and_once(server, tmp_path):
    url = f"{server.address}/p-{{0..1}}.tar?token=x"
    shards = Shards(url, TO_TENSOR, cache=tmp_path / "cache")
    assert shards.lengths == (2, 3)
    assert server.asked == ["/_info.json"]
    assert shards[0]["key"] == "0-0"
    assert keys(shards) == ["0-0", "0-1", "1-0", "1-1", "1-2"]
    assert server.asked == ["/_info.json", "/p-0.tar", "/p-1.tar"]
    assert keys(Shards(url, TO_TENSOR, cache=tmp_path / "cache"))[0] == "0-0"
    assert server.asked[3:] == ["/_info.json"]


@pytest.mark.parametrize("fault", [503, 429, "cut"])
def test_a_source_that_fails_twice_and_then_answers_is_read(server, tmp_path, fault, caplog):
    server.failures = {"/_info.json": [fault, fault], "/p-0.tar": [fault, fault]}
    shards = Shards(f"{server.address}/p-0.tar", TO_TENSOR, cache=tmp_path / "cache")
    assert keys(shards) == ["0-0", "0-1"]
    assert server.asked == ["/_info.json"] * 3 + ["/p-0.tar"] * 3
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 4
    assert "p-0.tar: " in messages[2]
    assert "trying again in" in messages[2]


def test_a_source_that_goes_on_failing_is_named_and_leaves_nothing(server, tmp_path):
    server.failures = {"/p-0.tar": ["cut"] * 9}
    shards = Shards(f"{server.address}/p-0.tar", TO_TENSOR, cache=tmp_path / "cache")
    with pytest.raises(ValueError, match=r"/p-0.tar failed 3 times, the last time with: \d+ of"):
        shards[0]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


OTHERS = [b"<html>Sign in</html>", b"", b"<html>" * 300, b"half"]


def other(content, folder):
    return (folder / "p-0.tar").read_bytes()[:1000] if content == b"half" else content


@pytest.mark.parametrize("content", OTHERS)
def test_what_is_no_shard_is_fetched_again(content, server, folder, tmp_path, caplog):
    server.failures = {"/p-0.tar": [other(content, folder)]}
    shards = Shards(f"{server.address}/p-0.tar", TO_TENSOR, cache=tmp_path / "cache")
    assert keys(shards) == ["0-0", "0-1"]
    assert server.asked.count("/p-0.tar") == 2
    (message,) = [record.getMessage() for record in caplog.records]
    assert "trying again in" in message


@pytest.mark.parametrize("content", OTHERS)
def test_what_is_no_shard_again_is_shown_and_not_kept(content, server, folder, tmp_path):
    came = other(content, folder)
    server.failures = {"/p-0.tar": [came] * 9}
    shards = Shards(f"{server.address}/p-0.tar", TO_TENSOR, cache=tmp_path / "cache")
    shown = f"{len(came)} bytes that begin with {came[:40]!r}" if came else "an empty answer"
    with pytest.raises(DataError, match=rf"p-0.tar gave no shard, twice: {re.escape(shown)}"):
        shards[0]
    assert server.asked.count("/p-0.tar") == 2
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_shard_that_was_damaged_in_the_cache_is_to_be_removed(server, tmp_path):
    url = f"{server.address}/p-0.tar"
    shards = Shards(url, TO_TENSOR, cache=tmp_path / "cache")
    assert keys(shards) == ["0-0", "0-1"]
    (kept,) = (tmp_path / "cache").glob("*.tar")
    kept.write_bytes(kept.read_bytes()[:1000])
    index_of.cache_clear()
    with pytest.raises(DataError, match=r"not a readable tar file .* remove it, and it is fetched"):
        shards[0]
    kept.unlink()
    assert keys(shards) == ["0-0", "0-1"]


@pytest.mark.parametrize("address", ["http://a:b/x.tar", "http://127.0.0.1:1/x y\x7f.tar"])
def test_an_address_that_is_none_is_named(address, tmp_path):
    with pytest.raises(DataError, match="http://"):
        Shards(address, TO_TENSOR, cache=tmp_path / "cache")


def test_a_cache_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("x")
    shards = Shards(f"{server.address}/p-0.tar", TO_TENSOR, cache=tmp_path / "file/x")
    with pytest.raises(DataError, match=r"cannot keep http.* in .*file/x .*name another cache"):
        shards[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_shard_that_a_server_does_not_have_stops_the_run_at_once(
    server, folder, tmp_path, workers
):
    (folder / "p-1.tar").unlink()
    url = f"{server.address}/p-{{0..1}}.tar"
    options = {"size": 32, "batch_size": 2, "num_workers": workers, "cache": str(tmp_path / "c")}
    data = ShardsDataModule(url, url, url, **options)
    data.setup("fit")
    with pytest.raises(FileNotFoundError, match=r"no shard at http://.*/p-1.tar .*404"):
        list(data.val_dataloader())
    # A worker may have been at the last batch already; what is tried again is asked for thrice.
    assert 1 <= server.asked.count("/p-1.tar") <= 1 + workers


def test_lengths_are_counted_where_a_server_does_not_tell(server, folder, tmp_path):
    (folder / "_info.json").unlink()
    shards = Shards(f"{server.address}/p-1.tar", TO_TENSOR, cache=tmp_path / "cache")
    assert shards.lengths == (3,)


def test_what_a_command_prints_is_a_shard(folder, tmp_path):
    shards = Shards(f"pipe:cat {folder}/p-{{0..1}}.tar", TO_TENSOR, cache=tmp_path / "cache")
    assert keys(shards) == ["0-0", "0-1", "1-0", "1-1", "1-2"]


def test_a_command_is_tried_again(folder, tmp_path):
    count = tmp_path / "count"
    command = f"pipe:echo x >> {count}; test $(wc -l < {count}) -gt 2 && cat {folder}/p-0.tar"
    assert keys(Shards(command, TO_TENSOR, cache=tmp_path / "cache")) == ["0-0", "0-1"]
    assert count.read_text() == "x\nx\nx\n"
    with pytest.raises(ValueError, match=r"failed 3 times.* ended with exit code 3"):
        Shards("pipe:exit 3", TO_TENSOR, cache=tmp_path / "cache")


def test_processes_that_want_the_same_shard_fetch_it_once(folder, tmp_path, in_two_processes):
    count = tmp_path / "count"
    shard = Shard(f"pipe:echo x >> {count}; sleep 0.3; cat {folder}/p-0.tar", tmp_path / "cache")
    sizes = in_two_processes(lambda rank: shard.path.stat().st_size)
    assert sizes == [(folder / "p-0.tar").stat().st_size] * 2
    assert count.read_text() == "x\n"


def test_a_full_disk_is_named_and_leaves_nothing(folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("datamodules.shard_files.durable.os.fsync", full)
    shard = Shard(f"pipe:cat {folder}/p-0.tar", tmp_path / "cache")
    with pytest.raises(ValueError, match=r"cannot keep pipe:cat .*No space left on device"):
        _ = shard.path
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_local_shards_are_where_they_are_and_have_their_info_beside_them(folder):
    (shard,) = find_shards(str(folder / "p-0.tar"))
    assert shard.path == folder / "p-0.tar"
    assert Path(shard.beside("_info.json")) == folder / "_info.json"
