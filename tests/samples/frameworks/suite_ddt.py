import unittest

from ddt import data, ddt, named_data, unpack


@ddt
class DataTest(unittest.TestCase):
    @data(1, 2, 3)
    def test_positive(self, number):
        self.assertGreater(number, 0)

    @data((1, 2), (2, 3), (3, 5))
    @unpack
    def test_next(self, number, following):
        self.assertEqual(number + 1, following)

    @data({"left": 1, "right": 1}, {"left": 2, "right": 3})
    @unpack
    def test_equal(self, left, right):
        self.assertEqual(left, right)

    @named_data(["one", 1], ["two", 2])
    def test_named(self, number):
        self.assertLess(number, 3)

    @data("x", "x")
    def test_same(self, letter):
        self.assertEqual(letter, "x")

    def test_plain(self):
        pass

    @unittest.skip("not here")
    @data(1, 2)
    def test_skipped(self, number):
        pass
