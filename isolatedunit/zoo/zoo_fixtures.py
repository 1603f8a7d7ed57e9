"""Class and module fixtures that fail, skip, and clean up."""

import unittest

from expecting import expect


class FailingSetUpClass(unittest.TestCase):
    @classmethod
    @expect("error", None, told=("ZeroDivisionError",))
    def setUpClass(cls):
        1 / 0

    def test_it(self):
        pass

    def test_another(self):
        pass


class SkippingSetUpClass(unittest.TestCase):
    @classmethod
    @expect("skipped", None, told=("not today",))
    def setUpClass(cls):
        raise unittest.SkipTest("not today")

    def test_it(self):
        pass

    def test_another(self):
        pass


class FailingTearDownClass(unittest.TestCase):
    @classmethod
    @expect("error", None, told=("ZeroDivisionError",))
    def tearDownClass(cls):
        1 / 0

    @expect("passed")
    def test_it(self):
        pass

    @expect("passed")
    def test_another(self):
        pass
