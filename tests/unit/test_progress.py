"""Progress: without these tests, what is drawn while tests run could count or name them wrongly."""

from __future__ import annotations

import io
import os
import re
import unittest
from typing import Any

from rich.console import Console

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    ChildStarted,
    ChildUnresponsive,
    PhaseSeen,
    ProgressMade,
    RunFinished,
    RunStarted,
    TestFinished,
    TestSlow,
)
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.terminal.progress import MOST_ROWS, Above, Display, State


def started(planned: int = 4, jobs: int = 2) -> RunStarted:
    return RunStarted(100.0, "run", planned, jobs, "spawn")


def finished(test: str, outcome: str = "passed", time: float = 101.0) -> TestFinished:
    return TestFinished(time, TestReport(test, outcome))


class StateTest(unittest.TestCase):
    def setUp(self) -> None:
        self.state = State()
        self.state.handle(started())

    def begin(self, attempt: str = "a", *tests: str) -> Any:
        self.state.handle(AttemptStarted(100.5, attempt, tests or ("m.C.test",)))
        return self.state.running[attempt]

    def test_counts(self) -> None:
        self.state.handle(finished("a"))
        self.state.handle(finished("b", "failed"))
        self.assertEqual((self.state.done, self.state.counts.failed), (2, 1))

    def test_fixtures_that_failed_do_not_go_beyond_what_was_planned(self) -> None:
        for number in range(6):
            self.state.handle(finished(str(number), "error"))
        self.assertEqual(self.state.done, 4)
        self.assertEqual(self.state.time_left(200.0), 0.0)

    def test_an_attempt_from_its_begin_to_its_end(self) -> None:
        shown = self.begin()
        self.assertEqual((shown.test, shown.phase), ("m.C.test", "spawn"))
        self.state.handle(ChildStarted(100.6, "a", 77, 0.1))
        self.assertEqual((shown.process_id, shown.phase), (77, ""))
        self.state.handle(PhaseSeen(101.6, "a", "m.C.test", "setUp"))
        self.assertEqual(shown.phase, "setUp")
        self.state.handle(AttemptFinished(102.0, "a", ("m.C.test",), 0.1, 1.5, None, None))
        self.assertEqual(self.state.running, {})

    def test_of_several_tests_the_one_that_runs(self) -> None:
        shown = self.begin("a", "m.C.test_1", "m.C.test_2")
        self.state.handle(PhaseSeen(101.6, "a", "m.C.test_2", "body"))
        self.assertEqual(shown.test, "m.C.test_2")

    def test_slow_and_unresponsive_ones_are_marked(self) -> None:
        shown = self.begin()
        self.state.handle(TestSlow(111.0, "a", "m.C.test", 10.0))
        self.state.handle(ChildUnresponsive(112.0, "a", "m.C.test", 5.0))
        self.assertTrue(shown.is_slow and shown.is_silent)
        self.state.handle(PhaseSeen(113.0, "a", "m.C.test", "body"))
        self.assertFalse(shown.is_silent)

    def test_what_a_test_tells_of_itself(self) -> None:
        shown = self.begin()
        self.state.handle(ProgressMade(101.0, "a", "m.C.test", 0.4, "loaded"))
        self.assertEqual(shown.told, "40% loaded")

    def test_of_others_it_takes_no_notice(self) -> None:
        self.state.handle(PhaseSeen(101.0, "who", "m.C.test", "body"))
        self.assertEqual(self.state.running, {})

    def test_time_left_from_the_pace_so_far(self) -> None:
        self.assertIsNone(self.state.time_left(102.0))
        self.state.handle(finished("a"))
        self.assertAlmostEqual(self.state.time_left(102.0) or 0.0, 6.0)

    def test_time_left_from_past_runs(self) -> None:
        self.state.expect({"a": 10.0, "b": 10.0, "c": 10.0, "d": 2.0})
        self.assertAlmostEqual(self.state.time_left(100.0) or 0.0, 16.0)  # two at a time
        self.state.handle(finished("a"))
        self.assertAlmostEqual(self.state.time_left(105.0) or 0.0, 11.0)
        # twice as slow as expected so far
        self.assertAlmostEqual(self.state.time_left(110.0) or 0.0, 22.0)

    def test_past_runs_that_knew_few_of_the_tests_tell_nothing(self) -> None:
        self.state.expect({"a": 10.0})
        self.assertIsNone(self.state.time_left(102.0))


class DrawingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.display = Display(io.StringIO(), colour=False)
        self.state = self.display.state
        self.state.handle(started(400))

    def draw(self, now: float, width: int = 80, height: int = 25) -> list[str]:
        console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, no_color=True)
        self.display._console = console
        with console.capture() as captured:
            console.print(self.display.drawing(now))
        return re.sub("\x1b\\[[\\d;]*m", "", captured.get()).rstrip("\n").split("\n")

    def test_a_test_has_a_line_once_it_runs_a_while(self) -> None:
        self.state.handle(AttemptStarted(100.0, "a", ("pkg.test_m.Case.test_it",)))
        self.assertEqual(len(self.draw(100.1)), 1)
        self.state.handle(ChildStarted(100.1, "a", os.getpid(), 0.1))
        self.state.handle(PhaseSeen(101.0, "a", "", "body"))
        head, line = self.draw(112.5)
        self.assertRegex(head, r"0/400, 1 running  0:13")
        self.assertRegex(line, r"^pkg\.test_m\.Case\.test_it +body +12\.5 s +\d+ MiB$")

    def test_no_line_is_longer_than_the_terminal(self) -> None:
        for number in range(3):
            test = f"a.very.long.package.name.test_module.TestCaseWithALongName.test_{'x' * 90}_{number}"
            self.state.handle(AttemptStarted(100.0, test, (test,)))
            self.state.handle(TestSlow(101.0, test, test, 1.0))
            self.state.handle(PhaseSeen(101.0, test, test, "tearDownModule"))
            self.state.handle(finished(test, "failed"))
        for width in (40, 60, 80, 200):
            for line in self.draw(4000.0, width):
                self.assertLessEqual(len(line), width, line)

    def test_many_that_run_are_not_all_shown(self) -> None:
        for number in range(40):
            self.state.handle(AttemptStarted(100.0, str(number), (f"m.C.test_{number:02}",)))
        lines = self.draw(110.0)
        self.assertEqual(len(lines), 1 + MOST_ROWS + 1)
        self.assertEqual(lines[-1].strip(), f"and {40 - MOST_ROWS} more")
        self.assertLessEqual(len(self.draw(110.0, height=6)), 5)

    def test_a_name_cannot_break_the_drawing(self) -> None:
        self.state.handle(AttemptStarted(100.0, "a", ("m.C.test_\x1b[2J\n[red]x",)))
        lines = self.draw(110.0)
        self.assertEqual(len(lines), 2)
        self.assertIn(r"test_\x1b[2J\n[red]x", lines[1])


class AboveTest(unittest.TestCase):
    def test_lines_are_printed_whole(self) -> None:
        below = io.StringIO()
        above = Above(below)
        above.write("test_a ... ")
        self.assertEqual(above.take_lines(), "")
        above.write("ok\ntest_b ... ")
        self.assertEqual(above.take_lines(), "test_a ... ok\n")
        above.release()
        above.write("FAIL\n")
        self.assertEqual(below.getvalue(), "test_b ... FAIL\n")

    def test_closing_a_display_twice_or_before_it_began(self) -> None:
        for events in ((), (started(), RunFinished(101.0, ()))):
            with self.subTest(events):
                stream = io.StringIO()
                display = Display(stream, colour=False)
                display.stream.write("a line\n")
                for event in events:
                    display.handle(event)
                display.close()
                display.close()
                display.stream.write("the end\n")
                self.assertEqual(stream.getvalue().count("a line\n"), 1)
                self.assertTrue(stream.getvalue().endswith("the end\n"), stream.getvalue())
