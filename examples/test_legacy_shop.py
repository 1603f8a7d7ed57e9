"""A legacy suite: each test is correct, but together they fail.

``python -m unittest test_legacy_shop`` reports seven failures, in the order in which it runs the tests.
``python -m isolatedunit test_legacy_shop`` reports none, in any order, without a change to the tests.
"""

import logging
import os
import unittest

import shop

HERE = os.getcwd()


class CartTest(unittest.TestCase):
    def test_add(self):
        shop.cart("Ada").append("tea")
        self.assertEqual(shop.cart("Ada"), ["tea"])

    def test_is_empty_at_first(self):
        self.assertEqual(shop.cart("Ada"), [])


class DiscountTest(unittest.TestCase):
    def test_half_price(self):
        shop.settings["discount"] = 0.5  # and nobody puts it back
        self.assertEqual(shop.price(10), "5.00 EUR")


class ExportTest(unittest.TestCase):
    def test_elsewhere(self):
        os.chdir(os.sep)  # it stays the current directory
        self.assertEqual(shop.path_of_export(), os.path.join(os.sep, "orders.csv"))

    def test_here(self):
        self.assertEqual(shop.path_of_export(), os.path.join(HERE, "orders.csv"))


class OrderTest(unittest.TestCase):
    def test_in_silence(self):
        logging.disable(logging.CRITICAL)  # for this test, and for all that come later
        self.assertEqual(shop.order("tea"), 1)

    def test_is_logged(self):
        with self.assertLogs("shop"):
            shop.order("tea")

    def test_subscriber(self):
        shop.subscribers.append("kitchen")  # nobody removes it
        self.assertEqual(shop.order("tea"), 2)

    def test_tells_accounting(self):
        self.assertEqual(shop.order("tea"), 1)


class PriceTest(unittest.TestCase):
    def test_price(self):
        self.assertEqual(shop.price(10), "10.00 EUR")

    def test_region(self):
        os.environ["SHOP_REGION"] = "UK"  # nor this
        self.assertEqual(shop.price(10), "12.00 EUR")


class ReceiptTest(unittest.TestCase):
    def test_broad_paper(self):
        shop.Receipt.width = 40  # of all receipts, not of one
        self.assertEqual(len(shop.Receipt().line("tea", 3)), 40)

    def test_paper(self):
        self.assertEqual(len(shop.Receipt().line("tea", 3)), 20)


if __name__ == "__main__":
    unittest.main()
