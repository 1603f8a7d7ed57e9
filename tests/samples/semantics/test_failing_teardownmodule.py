"""A module whose tearDownModule fails, and a cleanup of it."""

import unittest


def setUpModule():
    unittest.addModuleCleanup(lambda: {}["x"])


def tearDownModule():
    raise RuntimeError("in tearDownModule")


class One(unittest.TestCase):
    def test_one(self):
        pass

    def test_two(self):
        pass
