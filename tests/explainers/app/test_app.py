"""The web page as it is served to clients."""

import http.client
import importlib.util
import json
import socket
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from explainers.app import gradio
from explainers.cli import main
from explainers.errors import InputError

ANSWER = 90  # seconds that a busy machine may take to answer
LOOK = [0.85, "inferno", "signed", False]
PREFLIGHT = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
needs_gradio = pytest.mark.skipif(
    not importlib.util.find_spec("gradio"), reason='needs pip install "learned-explainers[app]"'
)


def test_missing_gradio_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r'pip install "learned-explainers\[app\]"'):
        gradio()
    assert main(["serve"]) == 2
    assert "the web page needs gradio" in capsys.readouterr().err


@pytest.mark.slow
@needs_gradio
@pytest.mark.filterwarnings("default")
class TestClients:
    def test_nobody_else_can_connect(self, server):
        with socket.create_connection(("127.0.0.1", server.port)):
            pass
        # Where a server listens to all addresses, it answers at this one too.
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", server.port))

    def test_browsers_are_told_to_ask_no_other_host(self, server):
        with urllib.request.urlopen(server.url) as page:
            assert page.headers["content-security-policy"].startswith("default-src 'self'")
            config = page.read().decode()
        for host in ("fonts.googleapis.com", "cdnjs.cloudflare.com", "cdn.jsdelivr.net"):
            assert host not in config

    def test_opening_the_page_keeps_no_stream_that_an_upload_could_lose_its_answer_with(
        self, server
    ):
        with urllib.request.urlopen(f"{server.url}/config") as answer:
            dependencies = json.load(answer)["dependencies"]
        (opening,) = (one for one in dependencies if "load" in dict(one["targets"]).values())
        assert opening["queue"] is False

    @pytest.mark.parametrize(
        ("method", "path", "headers", "status"),
        [
            ("GET", "/", {}, 200),
            ("GET", "/", {"Host": "localhost:PORT"}, 200),
            ("GET", "/", {"Host": "evil.example:PORT"}, 421),
            ("OPTIONS", "/gradio_api/upload", {"Host": "evil.example:PORT"} | PREFLIGHT, 421),
            ("GET", "/config", {"Host": "evil.example"}, 421),
            ("POST", "/gradio_api/upload", {"Host": "evil.example:PORT"}, 421),
            ("POST", "/gradio_api/upload", {"Origin": "http://evil.example"}, 403),
            ("POST", "/gradio_api/upload", {"Origin": "null"}, 403),
            ("POST", "/gradio_api/upload", {"Origin": "http://127.0.0.1:PORT"}, 200),
            ("POST", "/gradio_api/upload", {}, 200),
            ("POST", "/gradio_api/queue/join", {"Origin": "http://evil.example"}, 403),
            ("POST", "/gradio_api/call/open", {"Origin": "http://localhost:3000"}, 403),
        ],
    )
    def test_other_hosts_and_pages_are_refused(self, server, method, path, headers, status):
        body = (
            '--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
            "b\r\n--x--\r\n"
        )
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER)
        sent = {"Content-Type": "multipart/form-data; boundary=x"} if method == "POST" else {}
        sent |= {key: value.replace("PORT", str(server.port)) for key, value in headers.items()}
        connection.request(method, path, body if method == "POST" else None, sent)
        answer = connection.getresponse()
        connection.close()
        assert answer.status == status
        if status != 200:
            assert answer.headers["access-control-allow-origin"] is None

    def test_of_all_installed_files_only_the_examples_are_given_out(self, server):
        import skimage

        from datamodules.photos import package_photographs

        def status(path):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER)
            connection.request("GET", f"/gradio_api/file={path}")
            found = connection.getresponse().status
            connection.close()
            return found

        example = package_photographs()[0]
        assert status(example) == 200
        assert status(skimage.__file__) == 403
        assert status(example.parent / "README.txt") in (403, 404)

    def test_visitors_at_once_do_not_mix(self, connect, files):
        def visit(name):
            visitor = connect()
            found = [visitor.open(files / name)]
            found += [visitor.ask(label) for label in (1, 4, 2)]
            return [(one["map"].shape, int(one["target"])) for one in found]

        with ThreadPoolExecutor(2) as threads:
            wide, high = threads.map(visit, ["a.png", "b.png"])
        assert [shape for shape, _ in wide] == [(60, 90)] * 4
        assert [shape for shape, _ in high] == [(70, 50)] * 4
        assert [label for _, label in wide[1:]] == [label for _, label in high[1:]] == [1, 4, 2]

    def test_concept_leaves_no_empty_files(self, server, connect, files):
        from gradio_client import handle_file

        visitor = connect()
        visitor.open(files / "a.png")
        concept = [handle_file(str(files / "b.png"))]
        found = visitor.seen(concept, ["FAM"], *LOOK, api_name="/show_concept")
        assert np.isnan(found["probability"])
        assert not [file for file in server.kept() if not file.stat().st_size]

    def test_file_of_too_many_bytes_is_refused_on_its_way(self, server, connect, files):
        long = files / "long.png"
        with long.open("wb") as file:
            file.truncate((20 << 20) + 1)
        with pytest.raises(Exception, match=r"413|exceed"):
            connect().open(long)

    def test_two_hundred_requests_leave_nothing_behind(self, server, connect, files, photograph):
        visitor = connect()
        for request in range(200):
            if request % 4:
                visitor.ask(request % 6)
            else:
                visitor.open(photograph(files / "x.png", request, (90, 60)))
            if request == 49:
                early = server.memory()
        late = server.memory()
        assert late < 1.05 * early, f"{early:.0f} MB after 50 requests, {late:.0f} MB after 200"
        end = time.monotonic() + 60
        while len(server.kept()) > 32 and time.monotonic() < end:  # nobody asks
            time.sleep(1)
        assert len(server.kept()) <= 32  # the examples
