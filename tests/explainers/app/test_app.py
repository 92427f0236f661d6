"""The web page as it is served: to clients, and in a browser."""

import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explainers.app import gradio
from explainers.cli import main
from explainers.errors import InputError

ROOT = Path(__file__).parents[3]
START, ANSWER = 240, 90  # seconds that a busy machine may take to start, and to answer
LOOK = [0.85, "inferno", "signed", False]
PREFLIGHT = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
needs_gradio = pytest.mark.skipif(
    not importlib.util.find_spec("gradio"), reason='needs pip install "learned-explainers[app]"'
)
needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver"))
    or not importlib.util.find_spec("selenium"),
    reason="needs chromium, chromedriver, and pip install selenium",
)


def test_missing_gradio_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r'pip install "learned-explainers\[app\]"'):
        gradio()
    assert main(["serve"]) == 2
    assert "the web page needs gradio" in capsys.readouterr().err


def photograph(path, seed, size):
    noise = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "letter.jpg").write_text("this is no photograph")
    for seed, (name, size) in enumerate({"a.png": (90, 60), "b.png": (50, 70)}.items()):
        photograph(folder / name, seed, size)
    return folder


class Server:
    """`explainers serve` of a tiny classifier with random weights, whose files live for 30 s."""

    def __init__(self, folder, setup=""):
        config = folder / "tiny.yaml"
        config.write_text(
            "model:\n  class_path: explainers.OptiCAM\n  init_args:\n    steps: 3\n    lr: 1.0\n"
            "    classifier: {model: test_resnet, pretrained: false, num_classes: 6}\n"
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        code = (
            "import functools, sys, torch; torch.manual_seed(0); torch.set_num_threads(1)\n"
            "from explainers.app import server\nfrom explainers.cli import main\n"
            "from explainers.commands import serve\n"
            f"serve.serve_page = functools.partial(server.serve_page, files_live=30)\n{setup}\n"
            f"sys.exit(main(['serve', '--config', {str(config)!r}, '--port', '{self.port}']))"
        )
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=folder,  # not above the installed packages, which the examples lie in
            env=os.environ | {"TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT)},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def wait(self):
        end = time.monotonic() + START
        while time.monotonic() < end and self.process.poll() is None:
            if self.url in self.output():
                return self
            time.sleep(0.3)
        raise RuntimeError(f"the server did not start: {self.output()}")

    def stop(self, number):
        """End by a signal; the exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self.log.close()

    def output(self):
        return Path(self.log.name).read_text()

    def memory(self):
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def kept(self):
        return [path for path in self.temporary.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("served"))
    try:
        yield server.wait()
    finally:
        server.stop(signal.SIGTERM)


@pytest.fixture
def connect(server, tmp_path):
    from gradio_client import Client, handle_file

    class Visitor:
        def __init__(self):
            self.client = Client(server.url, verbose=False, download_files=str(tmp_path))

        def open(self, path):
            return self.seen(handle_file(str(path)), ["tiny"], *LOOK, api_name="/open")

        def ask(self, label):
            return self.seen(label, ["tiny"], *LOOK, api_name="/ask_other")

        def seen(self, *arguments, api_name):
            *_, npz = self.client.predict(*arguments, api_name=api_name)
            return arrays(npz["value"])

    return Visitor


def arrays(file):
    with np.load(file) as arrays:
        return dict(arrays)


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

    def test_two_hundred_requests_leave_nothing_behind(self, server, connect, files):
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


@pytest.mark.slow
@needs_gradio
@pytest.mark.filterwarnings("default")
class TestEnds:
    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_ends_the_server_and_its_files(self, tmp_path, number, status):
        server = Server(tmp_path).wait()
        assert len(server.output().splitlines()) == 1  # its address, and no word of libraries
        with urllib.request.urlopen(f"{server.url}/gradio_api/heartbeat/abc") as open_stream:
            assert open_stream.readline() == b"data: ALIVE\n"
            assert server.kept()
            assert server.stop(number) == status
        assert len(server.output().splitlines()) == 1
        assert not list(server.temporary.iterdir())

    def test_ctrl_c_while_bundles_are_loaded(self, tmp_path):
        setup = (
            "import time\n"
            "server.load_workbenches = lambda *_: print('loading', flush=True) or time.sleep(99)"
        )
        server = Server(tmp_path, setup)
        end = time.monotonic() + START
        while not server.output() and time.monotonic() < end:
            time.sleep(0.1)
        assert server.output() == "loading\n"
        assert server.stop(signal.SIGINT) == 130
        assert server.output() == "loading\n"
        assert not list(server.temporary.iterdir())

    def test_ctrl_c_that_a_library_swallows_counts_after_loading(self, tmp_path):
        setup = (
            "import time; from contextlib import suppress; load = server.load_workbenches\n"
            "def slow(*arguments):\n"
            "    print('loading', flush=True)\n"
            "    with suppress(BaseException):\n"
            "        time.sleep(99)\n"
            "    return load(*arguments)\n"
            "server.load_workbenches = slow"
        )
        server = Server(tmp_path, setup)
        end = time.monotonic() + START
        while not server.output() and time.monotonic() < end:
            time.sleep(0.1)
        assert server.stop(signal.SIGINT) == 130
        assert server.output() == "loading\n"

    def test_ctrl_c_does_not_wait_for_an_answer(self, tmp_path, files):
        setup = (
            "import time; from explainers.app.workbench import Workbench\n"
            "Workbench.why = lambda *_: print('computing', flush=True) or time.sleep(99)"
        )
        server = Server(tmp_path, setup).wait()
        from gradio_client import Client, handle_file

        client = Client(server.url, verbose=False, download_files=False)
        client.submit(handle_file(str(files / "a.png")), ["tiny"], *LOOK, api_name="/open")
        end = time.monotonic() + ANSWER
        while "computing" not in server.output() and time.monotonic() < end:
            time.sleep(0.1)
        assert server.stop(signal.SIGINT) == 130
        assert len(server.output().splitlines()) == 2
        assert not list(server.temporary.iterdir())


@pytest.fixture
def browser(server, tmp_path):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1300,1300",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.mark.slow
@needs_gradio
@needs_browser
@pytest.mark.filterwarnings("default")
class TestBrowser:
    @pytest.fixture
    def find(self, browser, server):
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import WebDriverWait

        def find(selector, count=1, text=""):
            """Wait until there are `count` elements, of which the first has the text."""

            def there(driver):
                found = driver.find_elements(By.CSS_SELECTOR, selector)
                if len(found) == count and all(text in one.text for one in found[:1]):
                    return found or "none"
                return None

            return WebDriverWait(browser, ANSWER).until(there, f"no {count} {selector}")

        browser.get(server.url)
        return find

    def upload(self, find, where, *paths):
        (field,) = find(f"#{where} input[type=file]")
        field.send_keys("\n".join(map(str, paths)))

    def picture(self, find, other_than=""):
        """Where the first picture is, once it is another one."""
        end = time.monotonic() + ANSWER
        while time.monotonic() < end:
            source = find("#shown .grid-container img")[0].get_attribute("src")
            if source != other_than:
                return source
            time.sleep(0.2)
        raise TimeoutError("the picture stayed as it was")

    def tab(self, find, name):
        next(tab for tab in find("button[role=tab]", 3) if tab.text == name).click()

    def test_photograph_second_class_downloads(self, browser, find, files, tmp_path):
        self.upload(find, "photo", files / "a.png")
        first = self.picture(find)
        drawn = self.fetched(first)
        classes = find("#classes label", 5)
        before = self.downloaded(find, tmp_path, "npz")
        classes[1].click()
        second = self.picture(find, other_than=first)
        assert self.fetched(second) != drawn
        after = self.downloaded(find, tmp_path, "npz")
        assert arrays(after)["target"] != arrays(before)["target"]
        assert not np.allclose(arrays(after)["map"], arrays(before)["map"])
        with Image.open(self.downloaded(find, tmp_path, "png")) as image:
            assert image.size == (90, 60 + 2 * 22)
        hosts = {
            message["params"]["request"]["url"].split("?")[0]
            for line in browser.get_log("performance")
            if (message := json.loads(line["message"])["message"])["method"]
            == "Network.requestWillBeSent"
        }
        assert not [url for url in hosts if url.startswith("http") and "127.0.0.1" not in url]

    def fetched(self, url):
        with urllib.request.urlopen(url) as answer:
            return answer.read()

    def downloaded(self, find, folder, kind):
        known = set(folder.glob(f"*.{kind}"))
        find(f"#{kind}")[0].click()
        end = time.monotonic() + ANSWER
        while time.monotonic() < end:
            if fresh := set(folder.glob(f"*.{kind}")) - known:
                return fresh.pop()
            time.sleep(0.2)
        raise TimeoutError(f"no {kind} was downloaded")

    def test_example_is_explained_at_a_click(self, server, browser, find):
        from selenium.webdriver.common.by import By

        from datamodules.photos import package_photographs

        thumbnails = find("#examples .thumbnail-item", len(package_photographs()))
        thumbnails[0].click()
        first = self.picture(find)
        find("#photo img")
        thumbnails[1].click()
        self.picture(find, other_than=first)
        assert "Error" not in browser.find_element(By.TAG_NAME, "body").text
        assert "InvalidPathError" not in server.output()

    def test_concept_and_two_images(self, find, files):
        self.upload(find, "photo", files / "a.png")
        first = self.picture(find)
        self.tab(find, "A concept")
        self.upload(find, "concept", files / "b.png", files / "a.png")
        find("#concept .file", 2)
        find("#where")[0].click()
        second = self.picture(find, other_than=first)
        self.tab(find, "Two images")
        self.upload(find, "partner", files / "b.png")
        find("#partner img")
        find("#compare")[0].click()
        pictures = find("#shown .grid-container img", 2)
        assert second not in [one.get_attribute("src") for one in pictures]

    def test_bad_file_is_told_in_one_sentence(self, server, find, files):
        self.upload(find, "photo", files / "letter.jpg")
        (message,) = find("#message .error", text="letter.jpg cannot be read as an image")
        assert "Traceback" not in message.text
        assert str(server.temporary) not in message.text
        find("#shown img", 0)
        assert "Traceback" not in server.output()
