"""A module whose setUpModule skips."""

import unittest


def setUpModule():
    raise unittest.SkipTest("in setUpModule")


class One(unittest.TestCase):
    def test_one(self):
        pass
