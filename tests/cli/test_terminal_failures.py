"""Failures as a command prints them: without these tests, output, colours or marks could be missing or doubled."""

from __future__ import annotations

import io
import os
import re
import sys
import unittest
from unittest import mock

from isolatedunit import IsolatedTestRunner
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.suites import TROUBLED


class OutputTest(ProjectTestCase):
    """``--show-output`` and ``--show-failures``."""

    def run_with(self, *flags: str) -> str:
        self.write("test_it.py", TROUBLED)
        return self.run_here("-j", "1", *flags, report=False).output

    def test_of_none(self) -> None:
        output = self.run_with("--show-output", "never")
        self.assertNotIn("all is well", output)
        self.assertNotIn("something is wrong", output)
        self.assertIn("AssertionError: 1 != 2", output)

    def test_of_all(self) -> None:
        output = self.run_with("--show-output", "all")
        self.assertRegex(output, r"OUTPUT: test_good \(test_it\.It(?:\.test_good)?\)\n-+\nStdout:\nall is well\n")
        self.assertEqual(output.count("something is wrong"), 1)

    def test_as_it_comes(self) -> None:
        output = self.run_with("--show-output", "live")
        for line in ("[It.test_good] all is well", "[It.test_bad] something is wrong"):
            self.assertEqual(output.splitlines().count(line), 1, output)
        self.assertIn("Stdout:\nsomething is wrong", output)

    def test_failures_as_they_happen(self) -> None:
        for flags in ((), ("--show-failures", "immediate"), ("--show-failures", "final", "--show-output", "failed")):
            with self.subTest(flags):
                output = self.run_with(*flags)
                self.assertEqual(len(re.findall("^FAIL: test_bad ", output, re.MULTILINE)), 1)
                self.assertIn("  FAIL  test_it.It.test_bad: AssertionError: 1 != 2\n", output)
                reason = r"OSError: no disk\n\n.*\n.*\n> +\d+ +raise OSError\(\"no disk\"\)\n\nTo run it again"
                self.assertEqual(len(re.findall(reason, output)), 1)
                # which is as with --show-output failed
                self.assertNotIn("all is well", output)
                self.assertEqual(output.count("something is wrong"), 1)

    def test_a_diff_that_is_cut_is_in_a_file(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest

            class It(unittest.TestCase):
                def test_list(self):
                    for length in (3, 400, 500):
                        with self.subTest(length):
                            self.assertEqual(["a" * length], ["b" * length])

                def test_dict(self):
                    self.assertEqual({"a" * 400: 1}, {"b" * 400: 1})

                def test_text(self):
                    self.assertEqual("a" * 400 + "\\ud800\\n", "b" * 400 + "\\ud800\\n")

                def test_whole(self):
                    self.maxDiff = None
                    self.assertEqual(["a" * 400], ["b" * 400])
            """,
        )
        output = self.run_here("test_it", report=False).output
        named = re.findall("^The whole diff: (.+)$", output, re.MULTILINE)
        expected = [f"test_it.It.test_{end}.diff" for end in ("dict", "list-2", "list", "text")]
        self.assertEqual(sorted(named), [os.path.join(".isolatedunit", "diffs", name) for name in expected], output)
        self.assertTrue(os.path.isfile(os.path.join(self.directory, ".isolatedunit", ".gitignore")))
        begins = ("- {'aaa", "+ {'bbb"), ("- ['aaa", "+ ['bbb"), ("- ['aaa", "+ ['bbb"), ("- aaa", "+ bbb")
        for name, (first, second) in zip(expected, begins, strict=True):
            with open(os.path.join(self.directory, ".isolatedunit", "diffs", name), encoding="utf-8") as file:
                text = file.read()
            self.assertGreater(len(text), 640, "what unittest shows")
            self.assertEqual(text.find(first), 0)
            self.assertIn(f"\n{second}", text)
        self.assertNotIn("whole diff", self.run_here("test_it", "--history", "none", report=False).output)

    def test_a_success_that_was_none(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest

            class It(unittest.TestCase):
                @unittest.expectedFailure
                def test(self):
                    pass
            """,
        )
        where = "test_it.It.test" if sys.version_info >= (3, 11) else "test_it.It"
        self.assertIn(
            f"UNEXPECTED SUCCESS: test ({where})\n" + "-" * 70 + "\nThe test was expected to fail but passed.\n\n"
            "To run it again: python -m isolatedunit test_it.It.test\n",
            self.run_here("--show-failures", "immediate", env=environment(PYTHONHASHSEED="0")).output,
        )


class EndTest(ProjectTestCase):
    """What is said when all is over."""

    def test_failures_are_named_once_more_on_a_line_each(self) -> None:
        self.write("test_it.py", TROUBLED)
        output = self.run_here(report=False, env=environment(PYTHONHASHSEED="0")).output
        self.assertIn(
            "Failed:\n"
            "  ERROR setUpClass (test_it.Broken): OSError: no disk\n"
            "  FAIL  test_it.It.test_bad: AssertionError: 1 != 2\n"
            "  ERROR test_it.It.test_bad_as_well: RuntimeError: no server\n"
            "To run these again: python -m isolatedunit --last-failed\n"
            "Isolation: ",
            output,
        )
        self.assertNotIn("Failed:", self.run_here("test_it.It.test_bad", report=False).output)
        self.assertIn("\nFailed:\n", self.run_here("--stats", "test_it.It.test_bad", report=False).output)

    def test_what_did_not_run_is_in_a_file(self) -> None:
        tests = "".join(f"    def test_{number:02}(self): self.assertTrue({number})\n" for number in range(30))
        self.write("test_it.py", f"import unittest\nclass It(unittest.TestCase):\n{tests}")
        output = self.run_here("-f", "-j", "1", report=False).output
        path = os.path.join(".isolatedunit", "not-run.txt")
        self.assertIn(f"\n  and 9 more; all of them are in {path}, for --from-file\n", output)
        self.assertLess(output.index("29 tests were not run"), output.index("FAIL  test_it.It.test_00: AssertionError"))
        self.assertEqual(self.run_here("--from-file", path).last_line, "29 passed, 0 failed, 0 skipped")

    def test_the_slowest_are_printed_when_asked_for(self) -> None:
        self.write("test_it.py", TROUBLED)
        output = self.run_here("--slowest", "--stats").output
        # what failed stays on the screen
        tables = r"RuntimeError: no server\n[^\0]*\nSlowest tests[^\0]*  test_it\.It\.test_good\n[^\0]*\nspawn time "
        self.assertRegex(output, tables + r"[^\0]*\nRan 3 tests in .*\n\nFAILED \([^\0]*\nFailed:\n")
        self.assertNotIn(f"{'-' * 70}\n{'-' * 70}\n", output)
        self.assertNotIn("Slowest tests", self.run_here().output)


class ColourTest(ProjectTestCase):
    def test_the_option(self) -> None:
        self.write("test_it.py", TROUBLED)
        coloured = self.run_here("--color", "always", report=False).output
        self.assertIn("\x1b[31mAssertionError: 1 != 2\x1b[0m", coloured)
        env = environment(FORCE_COLOR="1")
        self.assertNotIn("\x1b", self.run_here("--color", "never", env=env, report=False).output)

    def test_files_have_no_colours_however_they_are_asked_for(self) -> None:
        """Python 3.13 and newer colour tracebacks by themselves."""
        self.write("test_it.py", TROUBLED)
        ended = self.run_here("--color", "always", env=environment(FORCE_COLOR="1"))
        self.assertNotIn("\x1b", ended.tests()["test_it.It.test_bad"]["traceback"])

    def test_frames_of_ours_are_left_out(self) -> None:
        self.write("test_it.py", TROUBLED)
        output = self.run_here().output
        self.assertNotIn("isolatedunit" + os.sep, output.replace("python -m isolatedunit", ""))

    def test_frames_of_unittest_are_left_out_of_stacks(self) -> None:
        self.write(
            "test_it.py",
            """
            import os, time, unittest

            class It(unittest.TestCase):
                def test_aborts(self):
                    os.abort()

                def test_hangs(self):
                    with self.assertRaises(ValueError):
                        self.addCleanup(print)
                        test = unittest.FunctionTestCase(lambda: time.sleep(600))
                        unittest.TestSuite([test]).run(unittest.TestResult())
            """,
        )
        tests = self.run_here("--process-timeout", "1").tests()
        for name, lines in (
            ("test_aborts", r'\(most recent call first\):\n  File ".+test_it.py", line 5 in test_aborts\n(?!  File)'),
            # what the test itself went through stays
            ("test_hangs", r'in <lambda>\n(  File ".+case.py".+\n)+.+suite.py".+\n.+ in test_hangs\n(?!  File)'),
        ):
            with self.subTest(name):
                self.assertRegex(tests[f"test_it.It.{name}"]["traceback"], lines)

    def test_frames_of_ours_are_left_out_of_messages(self) -> None:
        self.write("test_it.py", "import no_such_module")
        (test,) = self.run_here().tests().values()
        self.assertIn("No module named 'no_such_module'", test["message"])
        self.assertNotIn("isolatedunit" + os.sep, test["message"])


class AnnotatedRunTest(ProjectTestCase):
    def test_a_run_on_github(self) -> None:
        self.write("tests/test_it.py", TROUBLED)
        env = environment(GITHUB_ACTIONS="true")
        ended = self.run_here("discover", "-s", "tests", env=env)
        self.assertRegex(ended.output, r"^::group::4 tests\n[.EF]+\n::endgroup::\n")
        self.assertIn("::error file=tests/test_it.py,line=9,title=FAIL test_it.It.test_bad::1 != 2\n", ended.output)
        self.assertEqual(ended.last_line, "1 passed, 3 failed, 0 skipped")
        self.assertNotIn("::", self.run_here("discover", "-s", "tests", "--annotations", "none", env=env).output)

    def test_a_program_marks_nothing(self) -> None:
        stream = io.StringIO()
        with mock.patch.dict(os.environ, GITHUB_ACTIONS="true"):
            IsolatedTestRunner(stream, history=None).run(unittest.TestSuite())
        self.assertNotIn("::", stream.getvalue())
