"""The web page's server ends, by a signal at any time, and leaves no files."""

import importlib.util
import signal
import time
import urllib.request

import pytest

START, ANSWER = 240, 90  # seconds that a busy machine may take to start, and to answer
LOOK = [0.85, "inferno", "signed", False]
needs_gradio = pytest.mark.skipif(
    not importlib.util.find_spec("gradio"), reason='needs pip install "learned-explainers[app]"'
)


@pytest.mark.slow
@needs_gradio
@pytest.mark.filterwarnings("default")
class TestEnds:
    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_ends_the_server_and_its_files(self, new_server, tmp_path, number, status):
        server = new_server(tmp_path).wait()
        assert len(server.output().splitlines()) == 1  # its address, and no word of libraries
        with urllib.request.urlopen(f"{server.url}/gradio_api/heartbeat/abc") as open_stream:
            assert open_stream.readline() == b"data: ALIVE\n"
            assert server.kept()
            assert server.stop(number) == status
        assert len(server.output().splitlines()) == 1
        assert not list(server.temporary.iterdir())

    def test_ctrl_c_while_bundles_are_loaded(self, new_server, tmp_path):
        setup = (
            "import time\n"
            "server.load_workbenches = lambda *_: print('loading', flush=True) or time.sleep(99)"
        )
        server = new_server(tmp_path, setup)
        end = time.monotonic() + START
        while not server.output() and time.monotonic() < end:
            time.sleep(0.1)
        assert server.output() == "loading\n"
        assert server.stop(signal.SIGINT) == 130
        assert server.output() == "loading\n"
        assert not list(server.temporary.iterdir())

    def test_ctrl_c_that_a_library_swallows_counts_after_loading(self, new_server, tmp_path):
        setup = (
            "import time; from contextlib import suppress; load = server.load_workbenches\n"
            "def slow(*arguments):\n"
            "    print('loading', flush=True)\n"
            "    with suppress(BaseException):\n"
            "        time.sleep(99)\n"
            "    return load(*arguments)\n"
            "server.load_workbenches = slow"
        )
        server = new_server(tmp_path, setup)
        end = time.monotonic() + START
        while not server.output() and time.monotonic() < end:
            time.sleep(0.1)
        assert server.stop(signal.SIGINT) == 130
        assert server.output() == "loading\n"

    def test_ctrl_c_does_not_wait_for_an_answer(self, new_server, tmp_path, files):
        setup = (
            "import time; from explainers.app.workbench import Workbench\n"
            "Workbench.why = lambda *_: print('computing', flush=True) or time.sleep(99)"
        )
        server = new_server(tmp_path, setup).wait()
        from gradio_client import Client, handle_file

        client = Client(server.url, verbose=False, download_files=False)
        client.submit(handle_file(str(files / "a.png")), ["tiny"], *LOOK, api_name="/open")
        end = time.monotonic() + ANSWER
        while "computing" not in server.output() and time.monotonic() < end:
            time.sleep(0.1)
        assert server.stop(signal.SIGINT) == 130
        assert len(server.output().splitlines()) == 2
        assert not list(server.temporary.iterdir())
