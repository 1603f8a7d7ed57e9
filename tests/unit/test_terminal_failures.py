"""Failures on the terminal: without these tests, names, colours or tracebacks could mislead whoever reads them."""

from __future__ import annotations

import io
import os
import re
import tempfile
import unittest
from typing import ClassVar
from unittest import mock

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
from isolatedunit.reporters.terminal.streams import FilteredStream, add_colours, wants_colour
from isolatedunit.reporters.terminal.summary import FAILED_SHOWN, LONGEST_FAILURE, Slowest, Summary
from isolatedunit.reporters.timeline import Timeline
from tests.support.projects import ProjectTestCase


class OutputTest(ProjectTestCase):
    """``--show-output`` and ``--show-failures``."""

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

    def test_a_long_list_and_long_lines_are_cut(self) -> None:
        timeline = Timeline()
        summary = Summary(timeline, lambda _: None)
        for number in range(FAILED_SHOWN + 5):
            note = Note("addError", "text", "x" * 500 + "\n\x1b[2J", "ValueError")
            summary.handle(TestFinished(1.0, TestReport(f"m.C.test_{number}", "error", notes=(note,))))
        lines = summary.lines(Statistics().as_dict())
        self.assertIn("  and 5 more", lines)
        self.assertEqual(max(map(len, lines)), LONGEST_FAILURE)

    def test_reasons(self) -> None:
        for outcome, note, reason in (
            ("failed", Note("addFailure", "", "1 != 2", "AssertionError"), "AssertionError: 1 != 2"),
            ("failed", Note("addFailure", "", "", "AssertionError"), "AssertionError"),
            ("error", Note("addError", "", " \n", "m.Wrong"), "m.Wrong"),
            ("error", Note("addError", "", "The test took too long."), "The test took too long."),
            ("unexpectedSuccess", Note("addUnexpectedSuccess"), "it was expected to fail"),
        ):
            summary = Summary(Timeline(), lambda _: None, lists_one=True)
            summary.handle(TestFinished(1.0, TestReport("m.C.t", outcome, notes=(note,))))
            line = summary.lines(Statistics().as_dict())[1]
            self.assertTrue(line.endswith(f" m.C.t: {reason}"), line)

    def test_a_repeated_test_is_listed_once(self) -> None:
        timeline = Timeline()
        summary = Summary(timeline, lambda _: None, repeats=True)
        for outcome in ("passed", "failed", "failed", "failed"):
            for name in ("a", "b"):
                planned = PlannedTest(1, f"m.C.test_{name}", name, None, "m.C", "m")
                event = TestFinished(1.0, TestReport(planned.id, outcome, planned=planned))
                timeline.handle(event)
                summary.handle(event)
        lines = summary.lines(Statistics().as_dict())
        self.assertEqual(lines[:3], ["Failed:", *(f"  FAIL  m.C.test_{one}: no reason was given" for one in "ab")])
        self.assertEqual(lines[3:6:2], ["Failed when repeated:", "  m.C.test_b: 3 of 4 times"])

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
        text += "\n    2  before\n>   3  here\n"
        FilteredStream(stream, add_colours()).write(text)
        coloured = stream.getvalue()
        self.assertEqual(re.sub("\x1b\\[\\d+m", "", coloured), text)
        self.assertIn('File "\x1b[35ma.py\x1b[0m", line \x1b[35m3\x1b[0m, in \x1b[35mf\x1b[0m\n', coloured)
        self.assertIn("\x1b[31mValueError: no\x1b[0m", coloured)
        self.assertIn("\n    2  before\n\x1b[31m>   3  here\x1b[0m\n", coloured)

    def test_the_list_of_what_failed(self) -> None:
        stream = io.StringIO()
        filtered = FilteredStream(stream, add_colours())
        red, cyan, end = "\x1b[31m", "\x1b[36m", "\x1b[0m"
        for line, coloured in (
            ("  FAIL  m.C.t: ValueError: a: b", f"  {red}FAIL {end} m.C.t: {red}ValueError: a: b{end}"),
            ("  UNEXPECTED SUCCESS m.C.t", f"  {red}UNEXPECTED SUCCESS{end} m.C.t"),
            ("To run these again: python x", f"To run these again: {cyan}python x{end}"),
        ):
            filtered.write(line)
            self.assertEqual(stream.getvalue(), coloured)
            stream.seek(0)
            stream.truncate()

    def test_diffs(self) -> None:
        stream = io.StringIO()
        text = "AssertionError: 'a\\nb' != 'a\\nc'\n  a\n- b\n? ^\n+ c\n? ^\n\nStdout:\n- a list\n"
        FilteredStream(stream, add_colours()).write("- before\n" + text)
        coloured = stream.getvalue()
        self.assertEqual(re.sub("\x1b\\[\\d+m", "", coloured), "- before\n" + text)
        red, green, cyan, end = "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"
        diff = f"\n  a\n{red}- b{end}\n{cyan}? ^{end}\n{green}+ c{end}\n{cyan}? ^{end}\n"
        self.assertIn(diff, coloured)
        for plain in ("- before\n", "\n- a list\n"):
            self.assertIn(plain, coloured)


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
