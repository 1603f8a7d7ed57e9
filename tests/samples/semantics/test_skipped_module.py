"""A module that skips itself."""

import unittest

raise unittest.SkipTest("the whole module")
