"""A module that only the package's load_tests finds."""

import unittest


class Check(unittest.TestCase):
    def test_it(self):
        pass
