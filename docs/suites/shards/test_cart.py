import unittest


class CartTest(unittest.TestCase):
    def test_first(self):
        self.assertTrue("cart")

    def test_second(self):
        self.assertEqual(len("cart"), 4)
