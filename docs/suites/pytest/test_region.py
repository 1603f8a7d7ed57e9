import os
import unittest

from isolatedunit import IsolatedTestCase, isolated


class RegionTest(IsolatedTestCase):
    process_timeout = 10.0

    def test_here(self):
        os.environ["REGION"] = "here"

    def test_nowhere(self):
        self.assertNotIn("REGION", os.environ)


class OrdinaryTest(unittest.TestCase):
    @isolated
    def test_crash(self):
        os.abort()
