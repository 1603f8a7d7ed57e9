"""Takes the pictures of pages for the documentation: ``python -m tests.support.screenshots`` where Chromium is."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
from typing import Any

from isolatedunit.audit.page import page_of
from tests.support.audit_documents import document_of, make_findings
from tests.support.browser import open_browser, show_as
from tests.support.command_line import run_isolatedunit
from tests.support.live import Live
from tests.support.paths import REPOSITORY
from tests.support.waiting import wait_until

PICTURES = os.path.join(REPOSITORY, "docs", "pictures")
FLAGS = ("--process-timeout", "2", "--retries", "1", "--retry-on", "failed", "--leaks", "warn", "-j", "2")

SHOP = """
    import ctypes
    import json
    import time
    import unittest

    def order(**changes):
        return {"id": 17, "items": ["apple", "pear"], "total": 240, "state": "paid", **changes}

    class CartTest(unittest.TestCase):
        def test_add(self):
            cart = order(items=["apple", "plum"], total=220)
            print("\\x1b[32mPOST\\x1b[0m /cart 201")
            self.assertEqual(cart, order())

        def test_receipt(self):
            self.assertEqual(json.loads('{"total": 240}')["total"], 240)

        def test_checkout_waits_for_the_bank(self):
            time.sleep(600)

        def test_native_price_index(self):
            ctypes.string_at(0)

        def test_keeps_the_log_open(self):
            self.log = open(__file__)

        @unittest.skip("the bank is closed today")
        def test_refund(self):
            pass
    """

ORDERS = """
    import os
    import time
    import unittest

    def make(number):
        return lambda self: time.sleep(0.02 * (number * 7 % 11))

    class OrdersTest(unittest.TestCase):
        def test_second_delivery(self):
            if not os.path.exists("been-here"):
                os.close(os.open("been-here", os.O_CREAT))
                self.fail("only once")

    for number in range(40):
        setattr(OrdersTest, f"test_order_{number:02}", make(number))
    """


def main() -> None:
    """Run a suite, and take a picture of its page in light and dark, wide and narrow."""
    directory = tempfile.mkdtemp()
    browser = open_browser()
    try:
        for name, text in (("test_shop.py", SHOP), ("test_orders.py", ORDERS)):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(textwrap.dedent(text))
        run_isolatedunit(*FLAGS, "--html", "page.html", cwd=directory, report=False)
        for dark in (False, True):
            for width, height in ((1200, 820), (390, 820)):
                show_as(browser, dark=dark, width=width, height=height)
                name = f"page-{'dark' if dark else 'light'}-{'wide' if width > 600 else 'narrow'}.png"
                _take(browser, f"file://{directory}/page.html", name)
            show_as(browser, dark=dark, width=1200, height=560)
            _take(browser, f"file://{directory}/page.html#view=timeline", f"timeline-{'dark' if dark else 'light'}.png")
        with open(os.path.join(directory, "audit.html"), "w", encoding="utf-8") as file:
            file.write(page_of(document_of(make_findings(10))))
        for dark in (False, True):
            show_as(browser, dark=dark, width=1200, height=820)
            browser.get(f"file://{directory}/audit.html")
            browser.save_screenshot(os.path.join(PICTURES, f"audit-{'dark' if dark else 'light'}.png"))
        live = Live(directory, "--process-timeout", "60")
        waiting = "test_shop.CartTest.test_checkout_waits_for_the_bank"
        wait_until(lambda: len(live.do("stacks", test=waiting).get("stacks", "")), "the test that waits")
        for dark in (False, True):
            show_as(browser, dark=dark, width=1200, height=640)
            _take(browser, live.address, f"live-{'dark' if dark else 'light'}-wide.png", "Running now")
        live.process.terminate()
        live.end()
    finally:
        browser.quit()
        shutil.rmtree(directory)


def _take(browser: Any, address: str, name: str, text: str = "") -> None:
    """Take a picture of the page at *address*, once it shows *text*."""
    browser.get("about:blank")  # another fragment alone would not load the page anew
    browser.get(address)
    wait_until(
        lambda: (
            browser.execute_script("return document.body.dataset.ready === 'yes'")
            and text in browser.execute_script("return document.body.innerText")
        ),
        "the page",
    )
    browser.save_screenshot(os.path.join(PICTURES, name))


if __name__ == "__main__":
    main()
