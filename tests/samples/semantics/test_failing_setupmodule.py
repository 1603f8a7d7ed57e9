"""A module whose setUpModule fails."""

import unittest


def setUpModule():
    raise RuntimeError("in setUpModule")


class One(unittest.TestCase):
    def test_one(self):
        pass


class Two(unittest.TestCase):
    def test_two(self):
        pass
