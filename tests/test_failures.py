"""Failures on the terminal: how to run one again, as they happen, at the end, in colour, and marked for CI systems."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import tempfile
import unittest
from typing import ClassVar
from unittest import mock

from running import Completed, ProjectTestCase, environment, run_python

from isolatedunit import IsolatedTestRunner
from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    OutputWritten,
    RunFinished,
    RunStarted,
    TestFinished,
)
from isolatedunit.model.results import AttemptReport, Note, PlannedTest, TestReport
from isolatedunit.reporters.statistics import Statistics
from isolatedunit.reporters.terminal.annotations import MOST, Annotations, place_of, system_of
from isolatedunit.reporters.terminal.failures import LiveOutput, short_name_of
from isolatedunit.reporters.terminal.streams import ColouringStream, wants_colour
from isolatedunit.reporters.terminal.summary import FAILED_SHOWN, LONGEST_FAILURE, Slowest, Summary

SUITE = """
    import unittest

    class It(unittest.TestCase):
        def test_good(self):
            print("all is well")

        def test_bad(self):
            print("something is wrong")
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

PARAMETERS = """
    import unittest

    class Case(unittest.TestCase):
        def __init__(self, value):
            super().__init__("runTest")
            self.value = value

        def runTest(self):
            self.assertEqual(self.value, 0)

    def load_tests(loader, tests, pattern):
        return unittest.TestSuite([Case(0), Case(1)])
    """

AGAIN = re.compile(r"^To run it again: (.+)$", re.MULTILINE)


class AgainTest(ProjectTestCase):
    """The command that is told for a failure is run, and has to run that test and find it failing as before."""

    def again(self, *arguments: str) -> dict[str, Completed]:
        """Run with the arguments, and each command that this told; gives what came of these, by the command."""
        ended = self.run_here(*arguments)
        self.assertEqual(ended.exit_code, 1, ended.output)
        commands = AGAIN.findall(ended.output)
        self.assertEqual(len(commands), len(re.findall(r"^(?:FAIL|ERROR): ", ended.output, re.MULTILINE)))
        return {command: self.obey(command) for command in commands}

    def obey(self, command: str) -> Completed:
        python, *words = shlex.split(command)
        self.assertEqual(python, "python")
        ended = run_python(*words, cwd=self.directory, env=environment())
        self.assertEqual(ended.exit_code, 1, ended.output)
        return ended

    def test_from_the_directory_of_the_tests(self) -> None:
        self.write("test_it.py", SUITE)
        for arguments in ((), ("test_it",), ("discover", "-s", ".")):
            with self.subTest(arguments):
                told = self.again(*arguments)
                self.assertEqual(
                    sorted(told),
                    [
                        f"python -m isolatedunit {name}"
                        for name in ("test_it.Broken", "test_it.It.test_bad", "test_it.It.test_bad_as_well")
                    ],
                )
                for ended in told.values():
                    self.assertEqual(ended.last_line, "0 passed, 1 failed, 0 skipped")

    def test_of_a_directory_that_nothing_is_imported_from(self) -> None:
        self.write("tests/test_it.py", SUITE)
        told = self.again("discover", "-s", "tests")
        self.assertIn("python -m isolatedunit discover -s tests -k test_it.It.test_bad_as_well", told)
        for command, ended in told.items():
            self.assertIn(command.rpartition(" ")[2], ended.output)
            self.assertLessEqual(int(ended.last_line.split()[2]), 2, ended.output)

    def test_with_the_options_that_the_test_had(self) -> None:
        self.write("test_it.py", SUITE)
        flags = ("--start-method", "spawn", "--process-timeout", "9", "-j", "3", "--no-ipc", "-v")
        (command,) = self.again(*flags, "test_it.It.test_bad")
        self.assertEqual(
            command,
            "python -m isolatedunit test_it.It.test_bad --start-method spawn --process-timeout 9 --no-ipc",
        )

    def test_of_a_test_without_a_name_its_module(self) -> None:
        self.write("test_it.py", PARAMETERS)
        self.assertEqual(list(self.again()), ["python -m isolatedunit test_it"])

    def test_of_a_module_that_cannot_be_imported(self) -> None:
        self.write("test_it.py", "import no_such_module")
        self.assertEqual(list(self.again()), ["python -m isolatedunit test_it"])

    def test_with_the_file_that_options_came_from(self) -> None:
        self.write("test_it.py", SUITE)
        self.write("of it.cfg", "[isolatedunit]\nprocess_timeout = 9\n")
        (command,) = self.again("--config", "of it.cfg", "test_it.It.test_bad")
        self.assertEqual(command, "python -m isolatedunit --config 'of it.cfg' test_it.It.test_bad")

    def test_all_that_failed(self) -> None:
        self.write("tests/test_it.py", SUITE)
        self.write("tests/test_broken.py", "import no_such_module")
        for arguments, command in (
            (("discover", "-s", "tests"), "discover -s tests --last-failed"),
            (("discover", "tests", "-k", "bad", "--no-ipc"), "discover -s tests -k bad --no-ipc --last-failed"),
            (("tests/test_it.py", "-j", "2"), "tests/test_it.py --last-failed"),
        ):
            with self.subTest(arguments):
                first = self.run_here(*arguments, "--history", "of-all")
                (told,) = re.findall(r"^To run these again: (.+)$", first.output, re.MULTILINE)
                self.assertEqual(told.replace(" --history of-all", ""), f"python -m isolatedunit {command}")
                again = self.obey(told)
                failed = re.compile(r"^Failed:\n((?:  .+\n)+)", re.MULTILINE)
                self.assertEqual(failed.findall(again.output), failed.findall(first.output))
                self.assertIn("0 passed,", again.last_line)
        self.assertNotIn("again: python", self.run_here("--history", "none", "-s", "tests").output.split("Failed:")[1])

    def test_a_program_has_no_command(self) -> None:
        self.write("test_it.py", SUITE)
        self.write(
            "program.py",
            """
            import unittest
            from isolatedunit import IsolatedTestRunner
            if __name__ == "__main__":
                unittest.main(module="test_it", testRunner=IsolatedTestRunner)
            """,
        )
        ended = run_python("program.py", cwd=self.directory, env=environment())
        self.assertIn("FAIL: test_bad ", ended.output)
        self.assertNotIn("run it again", ended.output)


class OutputTest(ProjectTestCase):
    """``--show-output`` and ``--show-failures``."""

    def run_with(self, *flags: str) -> str:
        self.write("test_it.py", SUITE)
        return self.run_here("-j", "1", *flags, report=False).output

    def test_of_tests_that_failed(self) -> None:
        for flags in ((), ("--show-output", "failed")):
            output = self.run_with(*flags)
            self.assertNotIn("all is well", output)
            self.assertEqual(output.count("something is wrong"), 1)

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
        for flags, times in (((), 1), (("--show-failures", "immediate"), 2), (("--show-failures", "final"), 1)):
            with self.subTest(flags):
                output = self.run_with(*flags)
                self.assertEqual(len(re.findall("^FAIL: test_bad ", output, re.MULTILINE)), times)
                self.assertEqual(output.count("OSError: no disk\n\nTo run it again"), times)

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
            f"UNEXPECTED SUCCESS: test ({where})\n" + "-" * 70 + "\nIt was to fail, and passed.\n\n"
            "To run it again: python -m isolatedunit test_it.It.test\n",
            self.run_here("--show-failures", "immediate").output,
        )

    def test_two_of_one_name_are_told_apart(self) -> None:
        said: list[str] = []
        live = LiveOutput(said.append)
        for attempt, module in (("1", "a"), ("2", "b")):
            live.handle(AttemptStarted(0.0, attempt, (f"{module}.C.test",)))
            live.handle(OutputWritten(0.0, attempt, "stdout", "line\n"))
        live.handle(AttemptFinished(1.0, "1", ("a.C.test",), 0.1, 1.0, None, None))
        live.handle(AttemptStarted(1.0, "3", ("a.C.test",)))
        live.handle(OutputWritten(1.0, "3", "stdout", "line\n"))
        self.assertEqual(said, ["[C.test] line", "[b.C.test] line", "[C.test] line"])

    def test_a_line_in_pieces(self) -> None:
        lines: list[str] = []
        live = LiveOutput(lines.append)
        live.handle(AttemptStarted(0.0, "a", ("m.C.test_1", "m.C.test_2")))
        for text in ("one\ntw", "o\nthr"):
            live.handle(OutputWritten(0.1, "a", "stdout", text))
        self.assertEqual(lines, ["[C] one", "[C] two"])
        live.handle(AttemptFinished(0.2, "a", (), None, 0.2, None, None))
        self.assertEqual(lines[2:], ["[C] thr"])

    def test_short_names(self) -> None:
        self.assertEqual(short_name_of(("pkg.mod.C.test",)), "C.test")
        self.assertEqual(short_name_of(("pkg.mod.C.test", "pkg.mod.D.test")), "mod")
        self.assertEqual(short_name_of(("a.C.test", "b.C.test")), "tests")


class EndTest(ProjectTestCase):
    """What is said when all is over."""

    def test_failures_are_named_once_more_on_a_line_each(self) -> None:
        self.write("test_it.py", SUITE)
        output = self.run_here(report=False).output
        self.assertIn(
            "Failed:\n"
            "  ERROR setUpClass (test_it.Broken): OSError: no disk\n"
            "  FAIL  test_it.It.test_bad: 1 != 2\n"
            "  ERROR test_it.It.test_bad_as_well: RuntimeError: no server\n"
            "To run these again: python -m isolatedunit --last-failed\n"
            "Isolation: ",
            output,
        )
        self.assertNotIn("Failed:", self.run_here("test_it.It.test_bad", report=False).output)

    def test_a_long_list_and_long_lines_are_cut(self) -> None:
        summary = Summary(lambda _: None)
        for number in range(FAILED_SHOWN + 5):
            note = Note("addError", "text", "x" * 500 + "\n\x1b[2J", "ValueError")
            summary.handle(TestFinished(1.0, TestReport(f"m.C.test_{number}", "error", notes=(note,))))
        lines = summary.lines(Statistics().as_dict())
        self.assertIn("  and 5 more", lines)
        self.assertEqual(max(map(len, lines)), LONGEST_FAILURE)

    def test_a_repeated_test_is_listed_once(self) -> None:
        summary = Summary(lambda _: None, repeats=True)
        for outcome in ("passed", "failed", "failed", "failed"):
            for name in ("a", "b"):
                planned = PlannedTest(1, f"m.C.test_{name}", name, None, "m.C", "m")
                summary.handle(TestFinished(1.0, TestReport(planned.id, outcome, planned=planned)))
        lines = summary.lines(Statistics().as_dict())
        self.assertEqual(lines[:3], ["Failed:", "  FAIL  m.C.test_a", "  FAIL  m.C.test_b"])
        self.assertEqual(lines[3:6:2], ["Failed, when it was repeated:", "  m.C.test_b: 3 of 4 times"])

    def test_the_slowest(self) -> None:
        slowest = Slowest(2)
        for name, seconds in (("a", 1.0), ("b", 3.0), ("c", 2.0)):
            attempt = AttemptReport(
                1, "passed", None, 0, None, 7, seconds, 0.25, None, 0.125, {"peak_rss": 2**20}, {}, "spawn", None
            )
            planned = PlannedTest(1, name, name, None, "C", "m")
            slowest.handle(
                TestFinished(1.0, TestReport(name, "passed", duration=0.5, attempts=(attempt,), planned=planned))
            )
        self.assertEqual(
            [line.split() for line in slowest.lines()[3:-1]],
            [
                ["3.000", "0.250", "0.500", "-", "0.125", "1.0", "b"],
                ["2.000", "0.250", "0.500", "-", "0.125", "1.0", "c"],
            ],
        )

    def test_the_slowest_are_printed_when_asked_for(self) -> None:
        self.write("test_it.py", SUITE)
        self.assertRegex(self.run_here("--slowest").output, r"Slowest tests[^\0]*  test_it\.It\.test_good\n")
        self.assertNotIn("Slowest tests", self.run_here().output)


class ColourTest(ProjectTestCase):
    def test_who_decides(self) -> None:
        terminal, file = mock.Mock(isatty=lambda: True), io.StringIO()
        for choice, stream, env, wanted in (
            ("auto", terminal, {}, True),
            ("auto", terminal, {"NO_COLOR": "1"}, False),
            ("auto", terminal, {"TERM": "dumb"}, False),
            ("auto", file, {}, False),
            ("auto", file, {"FORCE_COLOR": "1"}, True),
            ("always", file, {"NO_COLOR": "1"}, True),
            ("never", terminal, {"FORCE_COLOR": "1"}, False),
        ):
            with self.subTest(choice, env=env):
                self.assertEqual(wants_colour(choice, stream, env), wanted)

    def test_tracebacks(self) -> None:
        stream = io.StringIO()
        text = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\n    ~^^\nValueError: no\n'
        ColouringStream(stream).write(text)
        coloured = stream.getvalue()
        self.assertEqual(re.sub("\x1b\\[\\d+m", "", coloured), text)
        self.assertIn('File "\x1b[35ma.py\x1b[0m", line \x1b[35m3\x1b[0m, in \x1b[35mf\x1b[0m\n', coloured)
        self.assertIn("\x1b[31mValueError: no\x1b[0m", coloured)

    def test_the_option(self) -> None:
        self.write("test_it.py", SUITE)
        coloured = self.run_here("--color", "always", report=False).output
        self.assertIn("\x1b[31mAssertionError: 1 != 2\x1b[0m", coloured)
        env = environment(FORCE_COLOR="1")
        self.assertNotIn("\x1b", self.run_here("--color", "never", env=env, report=False).output)

    def test_files_have_no_colours_however_they_are_asked_for(self) -> None:
        """Python 3.13 and newer colour tracebacks by themselves."""
        self.write("test_it.py", SUITE)
        ended = self.run_here("--color", "always", env=environment(FORCE_COLOR="1"))
        self.assertNotIn("\x1b", ended.tests()["test_it.It.test_bad"]["traceback"])

    def test_frames_of_ours_are_left_out(self) -> None:
        self.write("test_it.py", SUITE)
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


class AnnotationsTest(unittest.TestCase):
    NOTE: ClassVar[Note] = Note("addFailure", "", "1 != 2\n%, : ; ]", "AssertionError")

    def told(self, system: str, *reports: TestReport) -> str:
        stream = io.StringIO()
        annotations = Annotations(system, stream.write)
        annotations.handle(RunStarted(0.0, "run", 2, 1, "spawn"))
        for report in reports:
            annotations.handle(TestFinished(1.0, report))
        annotations.handle(RunFinished(2.0, ()))
        return stream.getvalue()

    def failure(self, text: str = "") -> TestReport:
        return TestReport("m.C.test", "failed", notes=(Note("addFailure", text, self.NOTE.message),))

    def test_who_runs_it(self) -> None:
        for env, system in (
            ({"GITHUB_ACTIONS": "true"}, "github"),
            ({"GITLAB_CI": "true"}, "gitlab"),
            ({"TF_BUILD": "True"}, "azure"),
            ({"CI": "true"}, None),
        ):
            self.assertEqual(system_of("auto", env), system)
            self.assertIsNone(system_of("none", env))
            self.assertEqual(system_of("azure", env), "azure")

    def test_github(self) -> None:
        self.assertEqual(
            self.told("github", self.failure(), TestReport("m.C.good", "passed")),
            "::group::2 tests\n\n::endgroup::\n::error title=FAIL m.C.test::1 != 2%0A%25, : ; ]\n",
        )

    def test_azure(self) -> None:
        self.assertEqual(
            self.told("azure", self.failure()),
            "##[group]2 tests\n\n##[endgroup]\n"
            "##vso[task.logissue type=error;]FAIL m.C.test: 1 != 2%0A%AZP25, : %3B %5D\n",
        )

    def test_gitlab(self) -> None:
        self.assertRegex(
            self.told("gitlab", self.failure()),
            "^\x1b\\[0Ksection_start:\\d+:(\\w+)\\[collapsed=true\\]\r\x1b\\[0K2 tests\n"
            "\n\x1b\\[0Ksection_end:\\d+:\\1\r\x1b\\[0K\n$",
        )

    def test_the_place(self) -> None:
        with tempfile.TemporaryDirectory() as made:
            directory = os.path.realpath(made)
            path = os.path.join(directory, "tests", "test_m.py")
            os.mkdir(os.path.dirname(path))
            with open(path, "w", encoding="utf-8"):
                pass
            frames = f'  File "{path}", line 7, in test\n  File "{unittest.__file__}", line 9, in f\n'
            before = os.getcwd()
            os.chdir(directory)
            try:
                self.assertEqual(
                    place_of(f"Traceback (most recent call last):\n{frames}ValueError"), ("tests/test_m.py", 7)
                )
                self.assertEqual(place_of(f'  File "{path}", line 3, in a\n{frames}'), ("tests/test_m.py", 7))
                crash = f'Current thread (most recent call first):\n  File "{path}", line 3 in a\n{frames}'
                self.assertEqual(place_of(crash), ("tests/test_m.py", 3))
                self.assertEqual(place_of("no traceback"), ("", 0))
                told = self.told("github", self.failure(frames))
                self.assertIn("::error file=tests/test_m.py,line=7,title=", told)
            finally:
                os.chdir(before)

    def test_a_name_cannot_end_a_mark(self) -> None:
        evil = TestReport("m.C.test\n::error::x\x1b", "failed", notes=(self.NOTE,))
        (line,) = self.told("github", evil).split("::endgroup::\n")[1].splitlines()
        self.assertTrue(line.startswith(r"::error title=FAIL m.C.test\n%3A%3Aerror%3A%3Ax\x1b::"), line)

    def test_not_more_than_anybody_shows(self) -> None:
        told = self.told("github", *[self.failure() for _ in range(MOST + 10)])
        self.assertEqual(told.count("::error"), MOST)


class AnnotatedRunTest(ProjectTestCase):
    def test_a_run_on_github(self) -> None:
        self.write("tests/test_it.py", SUITE)
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


if __name__ == "__main__":
    sys.exit(unittest.main())
