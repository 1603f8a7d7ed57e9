"""Tests that several modules share."""

import unittest


class Shared(unittest.TestCase):
    def test_shared(self):
        pass
