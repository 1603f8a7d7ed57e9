"""What a load_tests may make."""

import doctest
import unittest


def double(number):
    """Twice the number.

    >>> double(2)
    4
    >>> double(3)
    7
    """
    return 2 * number


class Parameterised(unittest.TestCase):
    def __init__(self, method, parameter=0):
        super().__init__(method)
        self.parameter = parameter

    def test_it(self):
        self.assertNotEqual(self.parameter, 2)


class Scenarios(unittest.TestCase):
    scenario = None

    def test_it(self):
        self.assertIn(self.scenario, ("a", "b"))


class Plain(unittest.TestCase):
    def test_it(self):
        pass


def function():
    pass


def failing_function():
    raise AssertionError("a function")


class SuiteWithState(unittest.TestSuite):
    active = False

    def run(self, result, debug=False):
        SuiteWithState.active = True
        try:
            return super().run(result, debug)
        finally:
            SuiteWithState.active = False


class NeedsItsSuite(unittest.TestCase):
    def test_one(self):
        self.assertTrue(SuiteWithState.active)

    def test_two(self):
        self.assertTrue(SuiteWithState.active)


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite()
    suite.addTests(Parameterised("test_it", parameter) for parameter in (1, 2, 3))
    for scenario in ("a", "b", "c"):
        test = Scenarios("test_it")
        test.scenario = scenario
        suite.addTest(test)
    suite.addTests(loader.loadTestsFromTestCase(Plain))
    suite.addTest(unittest.FunctionTestCase(function))
    suite.addTest(unittest.FunctionTestCase(failing_function, description="a failing function"))
    suite.addTest(doctest.DocTestSuite())
    suite.addTest(SuiteWithState(unittest.defaultTestLoader.loadTestsFromTestCase(NeedsItsSuite)))
    return suite
