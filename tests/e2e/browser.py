"""A real browser for pages: headless Chromium, started once per test run and driven by selenium.

A test takes the fixture `browser` (`tests/e2e/conftest.py`): the one Chromium, as good as new, 1280
pixels wide and light. Nothing outside loopback can be reached from it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="Chromium is not installed: apt-get install chromium chromium-driver",
)

#: Seconds any single wait may take before it counts as hanging.
PATIENCE = 60.0
#: Where screenshots go; `make wheel` says so in SCREENS, since it runs the tests somewhere else.
SCREENS = Path(os.environ.get("SCREENS") or Path(__file__).parents[2] / "build" / "screens")

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it runs as root in containers, and visits only what the tests serve
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)

T = TypeVar("T")


class Browser:
    """One Chromium with one page.

    Attributes:
        driver: selenium's, for what is not here.
    """

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self._size = (1280, 900)

    def new(self) -> None:
        """As if just installed: no cookies, no page, 1280 pixels wide, light."""
        self.driver.get("about:blank")
        self.command("Network.clearBrowserCookies")
        self.complaints()
        self.size(1280)
        self.scheme("light")

    def open(self, url: str) -> None:
        """Go to `url`, and wait until it is loaded."""
        self.driver.get(url)

    def size(self, width: int, height: int = 900) -> None:
        """The width of the page in CSS pixels; also below the 500 that a window cannot be."""
        self._size = (width, height)
        self._resize(width, height)

    def scheme(self, scheme: Literal["light", "dark"]) -> None:
        """What the visitor prefers."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.command("Emulation.setEmulatedMedia", features=[feature])

    def find(self, selector: str) -> WebElement:
        """The first element that matches a CSS selector, waited for."""
        return self.wait(lambda: self._first(selector), f"an element {selector}")

    def all(self, selector: str) -> list[WebElement]:
        """Every element that matches now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self) -> str:
        """What a visitor reads."""
        return self.find("body").text

    def run(self, script: str, *arguments: object) -> Any:
        """What `script` returns; in a world of its own, which a page's CSP does not bind."""
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        """Type, wherever the focus is; `selenium.webdriver.Keys` has the names of keys."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def fits(self) -> bool:
        """Whether nothing is wider than the page, so that nobody must scroll sideways."""
        return bool(
            self.run(
                "const root = document.documentElement; return root.scrollWidth <= root.clientWidth"
            )
        )

    def complaints(self) -> list[str]:
        """What the console said since the last call: errors, and what a CSP refused."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in entries if entry["level"] == "SEVERE"]

    def screenshot(self, name: str) -> Path:
        """The whole page as `build/screens/NAME.png`."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        where = SCREENS / f"{name}.png"
        root = "document.documentElement"
        width, height = self.run(f"return [{root}.clientWidth, {root}.scrollHeight]")
        self._resize(width, height)
        assert self.driver.save_screenshot(str(where))
        self._resize(*self._size)
        return where

    def wait(self, condition: Callable[[], T | None], what: str) -> T:
        """What `condition` returns as soon as that is true; asked every 50 ms."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = condition()
            except (NoSuchElementException, StaleElementReferenceException):
                found = None
            if found:
                return found
            assert time.monotonic() < deadline, f"never happened: {what}, on\n{self.source()}"
            time.sleep(0.05)

    def source(self) -> str:
        """The page as HTML."""
        return self.driver.page_source

    def command(self, name: str, **parameters: object) -> Any:
        """One command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def _resize(self, width: int, height: int) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def _first(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)


def start(folder: Path) -> Browser:
    """A Chromium that keeps its files in `folder`; to be ended by `browser.driver.quit()`."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    return Browser(driver)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The one Chromium of this run."""
    folder = Path(tempfile.mkdtemp(prefix="gg-chromium"))
    browser = start(folder)
    try:
        yield browser
    finally:
        browser.driver.quit()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The one Chromium, as good as new."""
    chromium.new()
    return chromium
