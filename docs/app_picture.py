"""Picture of the web page for its documentation: `python docs/app_picture.py`.

`explainers serve` has to run; headless Chromium opens a link to one of its examples, and the page is
written to docs/app.jpg once the maps are there.
"""

import argparse
import io
import shutil
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

METHODS = "ptame_plus-efficientnet_lite0;Grad-CAM;ActivationMap"
WAIT = 600  # seconds that a busy machine may take


def main() -> None:
    """Open the page and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:7860/")
    parser.add_argument("--link", default=f"?image=coffee&class=espresso&method={METHODS}")
    parser.add_argument("--size", type=int, nargs=2, default=(1400, 1060), help="of the window")
    parser.add_argument("--output", type=Path, default=Path("docs/app.jpg"))
    arguments = parser.parse_args()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    width, height = arguments.size
    for one in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(one)
    options.add_argument(f"--window-size={width},{height}")
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(arguments.url + quote(arguments.link, safe="?&=;"))
        shown = "return [...document.querySelectorAll('#shown .grid-container img, #photo img')]"
        wait = WebDriverWait(driver, WAIT)
        wait.until(lambda one: one.find_elements(By.CSS_SELECTOR, "#shown .grid-container img"))
        wait.until(lambda one: one.execute_script(f"{shown}.every((image) => image.complete)"))
        png = driver.get_screenshot_as_png()
    finally:
        driver.quit()
    Image.open(io.BytesIO(png)).convert("RGB").save(arguments.output, quality=88)


if __name__ == "__main__":
    main()
