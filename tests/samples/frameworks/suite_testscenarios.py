import unittest

import testscenarios

load_tests = testscenarios.load_tests_apply_scenarios


class ScenariosTest(testscenarios.TestWithScenarios):
    scenarios = [(f"number {number}", {"number": number}) for number in range(5)]

    def test_positive(self):
        self.assertGreater(self.number, 0)

    def test_number(self):
        self.assertIsInstance(self.number, int)


class MultipliedTest(unittest.TestCase):
    scenarios = testscenarios.multiply_scenarios(
        [("a", {"left": 1}), ("b", {"left": 2})], [("x", {"right": 3}), ("y", {"right": 4})]
    )

    def test_sum(self):
        self.assertIn(self.left + self.right, (4, 5, 6))

    def test_product(self):
        self.assertLess(self.left * self.right, 8)


class PlainTest(unittest.TestCase):
    def test_plain(self):
        self.assertFalse(hasattr(self, "scenarios"))
