"""Takes the pictures of pages for the documentation: ``python -m tests.support.screenshots`` where Chromium is."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap

from tests.cli.test_page import SUITE
from tests.support.browser import open_browser, show_as
from tests.support.command_line import run_isolatedunit
from tests.support.live import Live
from tests.support.paths import REPOSITORY
from tests.support.waiting import wait_until

PICTURES = os.path.join(REPOSITORY, "docs", "pictures")
FLAGS = ("--process-timeout", "2", "--retries", "1", "--retry-on", "failed", "--leaks", "warn", "-j", "2")

MORE = """
    import time
    import unittest

    def make(number):
        return lambda self: time.sleep(0.02 * (number * 7 % 11))

    class Orders(unittest.TestCase):
        pass

    for number in range(40):
        setattr(Orders, f"test_order_{number:02}", make(number))
    """


def main() -> None:
    """Run a suite, and take a picture of its page in light and dark, wide and narrow."""
    directory = tempfile.mkdtemp()
    browser = open_browser()
    try:
        for name, text in (("test_shop.py", SUITE), ("test_orders.py", MORE)):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(textwrap.dedent(text))
        run_isolatedunit(*FLAGS, "--html", "page.html", cwd=directory, report=False)
        for dark in (False, True):
            for width, height in ((1100, 900), (390, 900)):
                show_as(browser, dark=dark, width=width, height=height)
                browser.get(f"file://{directory}/page.html")
                name = f"page-{'dark' if dark else 'light'}-{'wide' if width > 600 else 'narrow'}.png"
                browser.save_screenshot(os.path.join(PICTURES, name))
        live = Live(directory, "--process-timeout", "60")
        wait_until(
            lambda: len(live.do("stacks", test="test_shop.Shop.test_hangs").get("stacks", "")), "the test that hangs"
        )
        browser.get(live.address)
        for dark in (False, True):
            show_as(browser, dark=dark, width=1100, height=900)
            wait_until(lambda: "test_hangs" in browser.execute_script("return document.body.innerText"), "what runs")
            browser.save_screenshot(os.path.join(PICTURES, f"live-{'dark' if dark else 'light'}-wide.png"))
        live.process.terminate()
        live.end()
    finally:
        browser.quit()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
