"""A legacy suite: each test is correct, but together they fail.

``python -m unittest test_legacy_shop`` reports three failures, in the order in which it runs the tests.
``python -m isolatedunit test_legacy_shop`` reports none, in any order, without a change to the tests.
"""

import os
import unittest

import shop


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


class PriceTest(unittest.TestCase):
    def test_price(self):
        self.assertEqual(shop.price(10), "10.00 EUR")

    def test_region(self):
        os.environ["SHOP_REGION"] = "UK"  # nor this
        self.assertEqual(shop.price(10), "12.00 EUR")


if __name__ == "__main__":
    unittest.main()
