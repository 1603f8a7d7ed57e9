import unittest

from parameterized import param, parameterized, parameterized_class


class ExpandedTest(unittest.TestCase):
    @parameterized.expand([(1, 2), (2, 3), (3, 5)])
    def test_next(self, number, following):
        self.assertEqual(number + 1, following)

    @parameterized.expand([("first", 1), ("second", 2)])
    def test_named(self, name, number):
        self.assertTrue(name)

    @parameterized.expand([param(1, other=2), param(3)])
    def test_keywords(self, number, other=4):
        self.assertGreater(other, number)

    @parameterized.expand(["a", "b", "a"])
    def test_same(self, letter):
        self.assertIn(letter, "ab")

    @parameterized.expand([(1,)], skip_on_empty=True)
    @unittest.skip("not here")
    def test_skipped(self, number):
        pass

    @parameterized.expand([], skip_on_empty=True)
    def test_none(self, number):
        pass


@parameterized_class(("left", "right"), [(1, 1), (2, 3)])
class ClassTest(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(self.left, self.right)

    def test_numbers(self):
        self.assertIsInstance(self.left, int)
