"""Warnings of tests that pass: without these tests, an unclosed file would be reported nowhere."""

from __future__ import annotations

import unittest

from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

WARNING = """
    import unittest
    import warnings

    def leave_open():
        file = open(__file__)
        del file

    def use_what_is_old():
        warnings.warn("old", DeprecationWarning)

    class It(unittest.TestCase):
        def test_1(self):
            leave_open()
            use_what_is_old()

        def test_2(self):
            leave_open()
            use_what_is_old()

        def test_3(self):
            print("Warning: none")
    """


class PassingWarningsTest(ProjectTestCase):
    def test_each_is_printed_once_as_unittest_does(self) -> None:
        self.write("test_it.py", WARNING)
        plain = run_python("-m", "unittest", cwd=self.directory, env=environment()).output
        self.assertEqual((plain.count("ResourceWarning: unclosed"), plain.count("DeprecationWarning: old")), (1, 1))
        for start_method in START_METHODS:
            with self.subTest(start_method):
                output = self.run_here("--start-method", start_method, "-j", "1").output
                for line in plain.split("\n-----")[0].replace("...", "").replace("Warning: none\n", "").splitlines():
                    self.assertIn(line.lstrip("."), output)
                self.assertEqual(output.count("ResourceWarning: unclosed file"), 1)
                self.assertEqual(output.count("DeprecationWarning: old"), 1)
                self.assertNotRegex(output, r"(?m)^\.+[^.\n]")

    def test_what_the_test_itself_kept_is_reported_at_the_test(self) -> None:
        """It is released by a line of ours, which tells nobody anything."""
        suite = """
            import unittest

            class It(unittest.TestCase):
                def test_keeps(self):
                    self.file = open(__file__)
            """
        self.write("test_it.py", suite)
        for start_method in START_METHODS:
            with self.subTest(start_method):
                output = self.run_here("--start-method", start_method, "-q").output
                self.assertRegex(output, r"(?m)^(test_it.It.test_keeps|.*unittest.*): ResourceWarning: unclosed file <")
                self.assertNotRegex(output, r"isolatedunit.child")

    def test_what_ends_with_the_test_is_reported_at_the_test(self) -> None:
        """unittest releases it, in a line that says nothing of the test; where tests run at once, nothing else does."""
        suite = """
            import unittest

            class It(unittest.TestCase):
                async def test_1(self):
                    pass

                def test_2(self):
                    open(__file__)
            """
        self.write("test_it.py", suite)
        output = self.run_here("-q").output
        self.assertRegex(output, r"(?m)^test_it.It.test_1: RuntimeWarning: coroutine .* was never awaited")
        self.assertRegex(output, r"(?m)^.*test_it.py:8: ResourceWarning: unclosed file <")
        self.assertNotRegex(output, r"unittest.case.py")

    def test_not_where_no_output_is_wanted(self) -> None:
        self.write("test_it.py", WARNING)
        for flags in (("--show-output", "never"), ("-b",)):
            self.assertNotIn("ResourceWarning: unclosed", self.run_here(*flags).output)

    def test_those_of_a_test_that_fails_are_in_its_text(self) -> None:
        self.write(
            "test_it.py", WARNING + "\n        def test_4(self):\n            leave_open()\n            self.fail()\n"
        )
        ended = self.run_here("test_it.It.test_4")
        self.assertEqual(ended.output.count("ResourceWarning: unclosed file"), 1, ended.output)


if __name__ == "__main__":
    unittest.main()
