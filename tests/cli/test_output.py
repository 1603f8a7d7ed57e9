"""The output of a run: without these tests, it could differ from unittest's, or lose a failure, a retry or a leak."""

from __future__ import annotations

import os
import re

from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.suites import FAILING, PASSING

SOURCE = re.compile(r"\n(?:[ >] {0,4}\d+  [^\n]*\n)+(?:\n(?:    \w+ = [^\n]*\n)+)?")
"""The lines around the place where a test failed, and values on that line, which unittest does not show."""


class OutputTest(ProjectTestCase):
    def check_like_unittest(self, *arguments: str) -> None:
        """What unittest prints is printed, but for the time; then one line on the isolation, and the counts."""
        theirs = run_python("-m", "unittest", *arguments, cwd=self.directory)
        mine = self.run_here(*arguments, "-j", "1")
        self.assertEqual(mine.exit_code, theirs.exit_code, mine.output)
        output = SOURCE.sub("", re.sub(r"\nTo run it again: [^\n]+\n", "", mine.output))
        lines = without_times(output).rstrip("\n").split("\n")
        if "-f" in arguments:  # where the whole list of what ran is not on the screen, what failed comes last
            self.assertEqual(lines.pop(-3), "  FAIL  test_bad.Bad.test_fails: AssertionError: 1 != 2")
            self.assertEqual(lines.pop(-3), "Failed:")
            self.assertRegex(lines.pop(-3), "^To run these, and what failed: python -m isolatedunit .*--last-failed$")
            self.assertRegex(lines.pop(-3), "^  test_bad.Bad.test_later$")
            self.assertEqual(lines.pop(-3), "isolatedunit: 1 test was not run because a test failed (--failfast):")
        self.assertEqual("\n".join(lines[:-2]), without_times(theirs.output).rstrip("\n"))
        self.assertRegex(
            lines[-2], r"^Isolation: \d+ process(es)?(, spawned in [\d.]+ ms on average)?(, the largest used .*)?$"
        )
        self.assertRegex(lines[-1], r"^\d+ passed, \d+ failed, \d+ skipped$")

    def test_passing(self) -> None:
        self.write("test_it.py", PASSING)
        for arguments in (("-q",), ("discover", "-v")):  # what neither of them shows, failing tests do below
            with self.subTest(arguments):
                self.check_like_unittest(*arguments)

    def test_failing(self) -> None:
        self.write("test_bad.py", FAILING)
        for arguments in ((), ("-v", "--locals"), ("-q",), ("-f",)):
            with self.subTest(arguments):
                self.check_like_unittest(*arguments)

    def test_a_module_that_cannot_be_imported(self) -> None:
        self.write("test_bad.py", "import nothing_of_this_name\n")
        self.check_like_unittest()

    def test_nothing_at_all(self) -> None:
        ended = self.run_here()
        self.assertEqual(ended.exit_code, 5)
        self.assertIn("Ran 0 tests", ended.output)
        self.assertRegex(ended.output, r"\nNO TESTS RAN\nisolatedunit: no file in the current folder, .*\nIsolation: ")
        self.assertNotIn("OK", ended.output)
        self.assertEqual(ended.last_line, "0 passed, 0 failed, 0 skipped")

    def test_durations(self) -> None:
        self.write(
            "test_slow.py",
            """
            import time
            import unittest

            class Slow(unittest.TestCase):
                def test_slow(self):
                    time.sleep(0.05)

                def test_fast(self):
                    pass
            """,
        )
        ended = self.run_here("--durations", "1")
        # whichever it is: on a busy machine that may be the other one
        self.assertRegex(
            ended.output, r"Slowest test durations\n-+\n\d+\.\d+s +test_\w+ \(test_slow\.Slow.*\)?\n(?!\d)"
        )
        self.assertIn("test_fast", self.run_here("--durations", "0", "-v").output)

    def test_colour(self) -> None:
        self.write("test_it.py", PASSING)
        self.assertNotIn("\x1b[", self.run_here("-v").output)
        coloured = self.run_here("-v", env=environment(FORCE_COLOR="1")).output
        self.assertIn("\x1b[32mok\x1b[0m", coloured)
        self.assertIn("\x1b[32mOK\x1b[0m", coloured)
        plain = self.run_here("-v", env=environment(FORCE_COLOR="1", NO_COLOR="1")).output
        self.assertNotIn("\x1b[", plain)

    def test_what_the_terminal_has_no_bytes_for(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest

            class It(unittest.TestCase):
                def test_it(self):
                    '''\u00e9\u4e16 \u2192'''
                    self.fail("\u4e16\\ud800")
            """,
        )
        ended = self.run_here("-v", env=environment(PYTHONIOENCODING="ascii"))
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("\\xe9\\u4e16 \\u2192", ended.output)

    def test_no_capture(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest

            class It(unittest.TestCase):
                def test_it(self):
                    print("directly to the terminal")
            """,
        )
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("--no-capture", "--start-method", method)
                self.assertEqual(ended.output.count("directly to the terminal"), 1)
                self.assertEqual(ended.tests()["test_it.It.test_it"]["stdout"], "")


def without_times(text: str) -> str:
    """The text without what differs from run to run."""
    text = re.sub(r"in [\d.]+s", "in N s", text)
    return re.sub(r"0x[0-9a-f]+", "0x", text)


class RetryTest(ProjectTestCase):
    def test_a_test_that_passes_on_a_retry_is_flaky(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                def test_flaky(self):
                    if not os.path.exists("tried"):
                        open("tried", "w").close()
                        os._exit(1)

                def test_bad(self):
                    self.fail()

                def test_good(self):
                    pass
            """,
        )
        # with any of them: when a test is tried again is the engine's business
        ended = self.run_here("--retries", "2", "--start-method", START_METHODS[0])
        tests = ended.tests()
        tried = {
            test_id.rpartition(".")[2]: [a["outcome"] for a in test["attempts"]] for test_id, test in tests.items()
        }
        self.assertEqual(
            tried, {"test_flaky": ["error", "passed"], "test_bad": ["failed"] * 3, "test_good": ["passed"]}
        )
        assert ended.report is not None
        self.assertEqual(ended.report["counts"]["flaky"], 1)
        self.assertEqual([a["number"] for a in tests["test_it.It.test_bad"]["attempts"]], [1, 2, 3])
        self.assertEqual(ended.last_line, "2 passed, 1 failed, 0 skipped")

    def test_a_fixture_is_tried_again_too(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    if not os.path.exists("tried"):
                        open("tried", "w").close()
                        raise RuntimeError("the first time")

                def test_one(self):
                    pass

                def test_two(self):
                    pass
            """,
        )
        self.assertEqual(
            self.run_here("--retries", "1").outcomes(),
            {"test_it.It.test_one": "passed", "test_it.It.test_two": "passed"},
        )
        os.unlink(os.path.join(self.directory, "tried"))
        self.assertEqual(self.run_here().outcomes(), {"setUpClass (test_it.It)": "error"})


class LeaksTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write(
            "test_it.py",
            """
            import subprocess
            import unittest

            class It(unittest.TestCase):
                def test_leaves_a_process(self):
                    subprocess.Popen(["sleep", "1000"])
            """,
        )

    def test_they_are_told(self) -> None:
        ended = self.run_here()
        self.assertEqual(ended.exit_code, 0)
        self.assertIn("test_it.It.test_leaves_a_process left behind: a process, sleep 1000", ended.output)

    def test_they_are_ignored(self) -> None:
        ended = self.run_here("--leaks", "ignore")
        self.assertEqual(ended.exit_code, 0)
        self.assertNotIn("left behind", ended.output)

    def test_they_fail_the_test(self) -> None:
        ended = self.run_here("--leaks", "fail", "--start-method", START_METHODS[0])
        test = ended.tests()["test_it.It.test_leaves_a_process"]
        self.assertEqual((test["outcome"], test["cause"]), ("failed", "leak"))
        self.assertIn("a process, sleep 1000", test["traceback"])
