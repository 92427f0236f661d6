"""The web page in a browser."""

import importlib.util
import json
import re
import shutil
import time
import urllib.request

import numpy as np
import pytest

ANSWER = 90  # seconds that a busy machine may take to answer
needs_gradio = pytest.mark.skipif(
    not importlib.util.find_spec("gradio"), reason='needs pip install "learned-explainers[app]"'
)
needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver"))
    or not importlib.util.find_spec("selenium"),
    reason="needs chromium, chromedriver, and pip install selenium",
)


def arrays(file):
    with np.load(file) as arrays:
        return dict(arrays)


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
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import WebDriverWait

        def find(selector, count=1, text=""):
            """Wait until there are `count` elements, of which the first has the text."""

            def there(driver):
                found = driver.find_elements(By.CSS_SELECTOR, selector)
                if len(found) == count and all(text in one.text for one in found[:1]):
                    return found or "none"
                return None

            try:
                return WebDriverWait(browser, ANSWER).until(there)
            except TimeoutException as error:
                page = browser.find_element(By.TAG_NAME, "body").text
                said = [line["message"] for line in browser.get_log("browser")]
                raise AssertionError(
                    f"no {count} {selector}; console: {said}; server: {server.output()}; "
                    f"files: {server.kept()}; page: {page}"
                ) from error

        browser.get(server.url)
        return find

    def upload(self, find, where, *paths):
        (field,) = find(f"#{where} input[type=file]")
        field.send_keys("\n".join(map(str, paths)))

    def picture(self, find, other_than=""):
        """Address of the first picture shown, after waiting until it is not `other_than`."""
        end = time.monotonic() + ANSWER
        while time.monotonic() < end:
            source = find("#shown .grid-container img")[0].get_attribute("src")
            if source != other_than:
                return source
            time.sleep(0.2)
        raise TimeoutError("the picture stayed as it was")

    def tab(self, find, name, where="question", count=3):
        next(tab for tab in find(f"#{where} button[role=tab]", count) if tab.text == name).click()

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
        label = int(arrays(after)["target"])
        assert after.name == f"a-class-{label}.npz"
        assert self.downloaded(find, tmp_path, "png").name == f"a-class-{label}.png"
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
        find("#where")[0].click()
        find("#concept-error .error", text="a concept needs at least one image")
        self.upload(find, "concept", files / "b.png", files / "a.png")
        find("#concept .file", 2)
        find("#where")[0].click()
        second = self.picture(find, other_than=first)
        find("#concept-error .error", 0)
        find("#heading h2", text="Concept")
        self.tab(find, "Two images")
        self.upload(find, "partner", files / "b.png")
        find("#partner img")
        find("#compare")[0].click()
        pictures = find("#shown .grid-container img", 2)
        assert second not in [one.get_attribute("src") for one in pictures]

    def test_bad_file_is_told_in_one_sentence(self, server, find, files):
        self.upload(find, "photo", files / "letter.jpg")
        (message,) = find("#photo-error .error", text="letter.jpg cannot be read as an image")
        assert "Traceback" not in message.text
        assert str(server.temporary) not in message.text
        find("#shown img", 0)
        assert "Traceback" not in server.output()

    def test_address_leads_back_and_the_slider_moves_by_keys(self, server, browser, find):
        from selenium.webdriver.common.keys import Keys

        browser.get(f"{server.url}?image=coffee&class=3&method=tiny;Grad-CAM")
        find("#shown .grid-container img", 2)
        find("#heading h2", text="class 3")
        find("#sign", 0)  # no method is signed
        other = next(label for label in find("#classes label", 5) if "class 3" not in label.text)
        number = other.text.split()[-1]
        other.click()
        find("#heading h2", text=f"class {number}")
        end = time.monotonic() + ANSWER
        while f"class={number}" not in browser.current_url and time.monotonic() < end:
            time.sleep(0.2)
        assert f"class={number}" in browser.current_url
        assert "image=coffee" in browser.current_url
        assert "method=tiny%3BGrad-CAM" in browser.current_url
        browser.refresh()
        find("#shown .grid-container img", 2)
        find("#classes label.selected", 1)
        self.tab(find, "Slider", "answer", 2)
        _, right = find("#sides img", 2)
        (handle,) = find("#divide input[type=range]")
        before = right.get_attribute("style")
        handle.send_keys(*[Keys.ARROW_RIGHT] * 5)
        assert right.get_attribute("style") != before
        (share,) = re.findall(r"inset\(0px 0px 0px ([\d.]+)%\)", right.get_attribute("style"))
        assert float(share) == pytest.approx(55, abs=0.01)

    def test_image_is_pasted_anywhere(self, browser, find):
        find("#examples .thumbnail-item img", 32)
        shown = ""
        for index in range(2):  # the second in the place of the first
            browser.execute_async_script(
                """
                const [index, done] = arguments;
                fetch(document.querySelectorAll("#examples img")[index].src)
                    .then((answer) => answer.blob()).then((image) => {
                  const clipboardData = new DataTransfer();
                  clipboardData.items.add(new File([image], "image.png", {type: image.type}));
                  const paste = {clipboardData, bubbles: true, cancelable: true};
                  document.body.dispatchEvent(new ClipboardEvent("paste", paste));
                  done();
                });
                """,
                index,
            )
            shown = self.picture(find, other_than=shown)
        assert find("#photo img")

    def test_narrow_window_has_the_map_under_the_photograph(self, server, browser, find):
        metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(f"{server.url}?image=coffee")
        find("#shown .grid-container img")
        boxes = [find(f"#{name}")[0].rect for name in ("photo", "heading", "shown", "question")]
        tops = [box["y"] for box in boxes]
        assert tops == sorted(tops)
        assert tops[1] - (tops[0] + boxes[0]["height"]) < 40
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
