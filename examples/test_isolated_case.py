"""Tests that are isolated under any runner, including an IDE.

``python -m unittest test_isolated_case`` and ``pytest test_isolated_case.py`` run the isolated tests in
processes of their own, too.
"""

import os
import threading
import time
import unittest

import shop

from isolatedunit import IsolatedTestCase, isolated


class RegionTest(IsolatedTestCase):
    """All tests of this class are isolated. Attributes set its options."""

    process_timeout = 10.0

    def test_a_region_is_set(self):
        os.environ["SHOP_REGION"] = "UK"
        self.assertEqual(shop.price(10), "12.00 EUR")

    def test_no_region_is_set(self):
        self.assertEqual(shop.price(10), "10.00 EUR")


class BackgroundTest(unittest.TestCase):
    """An ordinary test case with one isolated test."""

    @isolated(process_timeout=5.0, leaks="ignore")
    def test_a_thread_that_never_ends(self):
        thread = threading.Thread(target=time.sleep, args=(3600,), daemon=True)
        thread.start()
        self.assertTrue(thread.is_alive())

    def test_no_thread_is_left(self):
        self.assertEqual(threading.active_count(), 1)


if __name__ == "__main__":
    unittest.main()
