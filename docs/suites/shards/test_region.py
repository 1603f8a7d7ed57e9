import unittest


class RegionTest(unittest.TestCase):
    def test_first(self):
        self.assertTrue("region")

    def test_second(self):
        self.assertEqual(len("region"), 6)
