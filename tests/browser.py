"""A headless Chromium, for tests of the pages that mcls writes or serves."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: No sandbox, for containers; nothing in the background, so that every request is the page's own.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


class Browser:
    """A Chromium with one tab; `driver` is selenium's own."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def view(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Set the size of the page in CSS pixels, and the colour scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, page: Path | str) -> None:
        """Open a file or an address; forget the errors and requests of the page before."""
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function body of JavaScript in the page; a promise that it returns is awaited."""
        whole = f"return Promise.resolve((function() {{{script}}}).apply(null, arguments))"
        return self.driver.execute_script(whole, *arguments)

    def errors(self) -> list[str]:
        """Return the errors and warnings of the console since the last call."""
        return [line["message"] for line in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call; not data and blob."""
        events = [json.loads(line["message"]) for line in self.driver.get_log("performance")]
        urls = [
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(("data:", "blob:"))]

    def overflow(self) -> int:
        """Return the CSS pixels by which the page is wider than its view."""
        root = "document.documentElement"
        return int(self.run(f"return {root}.scrollWidth - {root}.clientWidth"))

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of the view, or of the whole page."""
        import base64

        options = {"captureBeyondViewport": whole}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
        path.write_bytes(base64.b64decode(shot))


@contextmanager
def opened_browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile; skip the test where it is not installed."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed (.ci/packages.txt)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "WARNING", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    try:
        started.set_page_load_timeout(60)
        started.set_script_timeout(30)
        yield Browser(started)
    finally:
        started.quit()
