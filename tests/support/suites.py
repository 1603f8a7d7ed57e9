"""Small suites that several tests write into their projects."""

from __future__ import annotations

PASSING = """
    import unittest

    class It(unittest.TestCase):
        def test_it(self):
            pass

        def test_other(self):
            '''A description.'''
    """


FAILING = """
    import unittest

    class Bad(unittest.TestCase):
        def test_fails(self):
            self.assertEqual(1, 2)

        def test_later(self):
            pass
    """


TROUBLED = """
    import unittest

    class It(unittest.TestCase):
        def test_good(self):
            print("all is well")

        def test_bad(self):
            print("something", "is wrong")
            self.assertEqual(1, 2)

        def test_bad_as_well(self):
            raise RuntimeError("no server")

    class Broken(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            raise OSError("no disk")

        def test_it(self):
            pass
    """
