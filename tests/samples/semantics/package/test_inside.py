"""A module in a package."""

import unittest

from package.shared import Shared


class Inside(unittest.TestCase):
    def test_it(self):
        from . import test_inside

        self.assertEqual(test_inside.__name__, "package.test_inside")


class AlsoShared(Shared):
    def test_more(self):
        pass
