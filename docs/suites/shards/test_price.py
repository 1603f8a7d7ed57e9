import unittest


class PriceTest(unittest.TestCase):
    def test_first(self):
        self.assertTrue("price")

    def test_second(self):
        self.assertEqual(len("price"), 5)
