"""Slots have numbers: without these tests, two tests that run at once could use the same database."""

from __future__ import annotations

import os
import unittest
from unittest import mock

from isolatedunit import IsolatedTestRunner
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

# each waits until the other runs, too, so that they have different slots
MODULE = """
    import os, time, unittest

    class T(unittest.TestCase):
        def note(self, mine, others):
            with open(mine, "w"):
                pass
            while not os.path.exists(others):
                time.sleep(0.001)
            print(os.environ["ISOLATEDUNIT_SLOT"])

        def test_a(self):
            self.note("a", "b")

        def test_b(self):
            self.note("b", "a")

        def test_c(self):
            print(os.environ["ISOLATEDUNIT_SLOT"])
    """


class SlotNumbersTest(ProjectTestCase):
    def test_tests_that_run_at_once_have_numbers_of_their_own_and_reports_show_them(self) -> None:
        self.write("test_it.py", MODULE)
        for method in START_METHODS:
            with self.subTest(method):
                for name in {"a", "b"}.intersection(os.listdir(self.directory)):
                    os.unlink(os.path.join(self.directory, name))
                how = ("--start-method", method, "--parallel-by", "test", "-j", "2")
                tests = self.run_here("test_it", *how).tests()
                shown = {name[-1]: int(test["stdout"]) for name, test in tests.items()}
                reported = {name[-1]: test["attempts"][0]["slot"] for name, test in tests.items()}
                self.assertEqual(shown, reported)
                self.assertEqual({shown["a"], shown["b"]}, {1, 2})
                self.assertIn(shown["c"], {1, 2})

    def test_a_call_has_a_number_and_not_that_of_the_test_around_it(self) -> None:
        def number(_test: object) -> str | None:
            return os.environ.get("ISOLATEDUNIT_SLOT")

        with mock.patch.dict(os.environ, ISOLATEDUNIT_SLOT="77"), IsolatedTestRunner() as runner:
            self.assertEqual(runner.run_isolated_test(number).unwrap(), "1")


if __name__ == "__main__":
    unittest.main()
