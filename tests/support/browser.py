"""A real browser without a window, for the tests of pages: Chromium, if it is installed, and selenium."""

from __future__ import annotations

import os
import shutil
import unittest
from typing import Any

try:
    import axe_core_python
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service
except ImportError:
    webdriver = None  # type: ignore[assignment]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

needs_browser = unittest.skipUnless(
    webdriver is not None and CHROMIUM and DRIVER, "needs Chromium, chromedriver, and the extra browser"
)

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def open_browser(width: int = 1280, height: int = 1000) -> Any:
    """A browser, to be ended with ``quit()``. Skips the test where the one that is installed cannot be started."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*_FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        return webdriver.Chrome(options=options, service=Service(executable_path=DRIVER))
    except WebDriverException as exception:
        raise unittest.SkipTest(f"{CHROMIUM} cannot be started: {exception}") from exception


def show_as(browser: Any, *, dark: bool, width: int = 1280, height: int = 1000) -> None:
    """Have pages look as for somebody with a dark screen, or one of another size."""
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def violations(browser: Any) -> list[str]:
    """What axe-core finds wrong with the page as it is now, for people who see, hear or move otherwise."""
    path = os.path.join(os.path.dirname(axe_core_python.__file__), "axe.min.js")
    with open(path, encoding="utf-8") as file:
        # as a developer's tool, which the page's policy on scripts does not concern
        browser.execute_cdp_cmd("Runtime.evaluate", {"expression": file.read()})
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    return [
        f"{one['id']}: {one['help']}: {', '.join(node['html'][:200] for node in one['nodes'])}"
        for one in found["violations"]
    ]


def complaints(browser: Any) -> list[str]:
    """What the browser's console says is wrong."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
