"""Progress: without these tests, what is drawn while tests run could count or name them wrongly."""

from __future__ import annotations

import io
import os
import re
import unittest

from rich.console import Console

from isolatedunit.model.events import (
    AttemptStarted,
    ChildStarted,
    PhaseSeen,
    RunFinished,
    RunStarted,
    TestFinished,
    TestSlow,
)
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.terminal.progress import MOST_ROWS, Above, Display
from isolatedunit.reporters.time_estimate import TimeEstimate
from isolatedunit.reporters.timeline import Timeline
from tests.support.waiting import wait_until


def started(planned: int = 4, jobs: int = 2) -> RunStarted:
    return RunStarted(100.0, "run", planned, jobs, "spawn")


def finished(test: str, outcome: str = "passed", time: float = 101.0) -> TestFinished:
    return TestFinished(time, TestReport(test, outcome))


class EstimateTest(unittest.TestCase):
    def setUp(self) -> None:
        self.timeline, self.estimate = Timeline(), TimeEstimate()
        self.timeline.handle(started())

    def finish(self, test: str) -> None:
        self.timeline.handle(finished(test))
        self.estimate.finish(test)

    def seconds_left(self, now: float) -> float:
        left = self.estimate.seconds_left(self.timeline, now)
        assert left is not None
        return left

    def test_nothing_is_left_of_what_was_planned(self) -> None:
        for number in range(6):
            self.finish(str(number))
        self.assertEqual(self.seconds_left(200.0), 0.0)

    def test_time_left_from_the_pace_so_far(self) -> None:
        self.assertIsNone(self.estimate.seconds_left(self.timeline, 102.0))
        self.finish("a")
        self.assertAlmostEqual(self.seconds_left(102.0), 6.0)

    def test_time_left_from_past_runs(self) -> None:
        self.estimate.expect({"a": 10.0, "b": 10.0, "c": 10.0, "d": 2.0})
        self.assertAlmostEqual(self.seconds_left(100.0), 16.0)  # two at a time
        self.finish("a")
        self.assertAlmostEqual(self.seconds_left(105.0), 11.0)
        # twice as slow as expected so far
        self.assertAlmostEqual(self.seconds_left(110.0), 22.0)

    def test_tests_of_one_group_do_not_share_the_processes(self) -> None:
        seconds = {"a": 10.0, "b": 10.0, "c": 10.0, "d": 2.0}
        self.estimate.expect(seconds, {"a": "one", "b": "one", "c": "one", "d": "other"})
        self.assertAlmostEqual(self.seconds_left(100.0), 30.0)
        self.finish("d")
        self.assertAlmostEqual(self.seconds_left(102.0), 30.0)
        self.finish("a")
        self.assertAlmostEqual(self.seconds_left(110.0), 20.0)
        # twice as slow as expected so far
        self.assertAlmostEqual(self.seconds_left(120.0), 40.0)

    def test_past_runs_that_knew_few_of_the_tests_tell_nothing(self) -> None:
        self.estimate.expect({"a": 10.0})
        self.assertIsNone(self.estimate.seconds_left(self.timeline, 102.0))


class DrawingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.display = Display(io.StringIO(), colour=False)
        self.timeline = self.display.timeline
        self.timeline.handle(started(400))

    def draw(self, now: float, width: int = 80, height: int = 25) -> list[str]:
        console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, no_color=True)
        self.display._console = console
        with console.capture() as captured:
            console.print(self.display.drawing(now))
        return re.sub("\x1b\\[[\\d;]*m", "", captured.get()).rstrip("\n").split("\n")

    def test_a_test_has_a_line_once_it_runs_a_while(self) -> None:
        self.timeline.handle(AttemptStarted(100.0, "a", ("pkg.test_m.Case.test_it",)))
        self.assertEqual(len(self.draw(100.1)), 1)
        self.timeline.handle(ChildStarted(100.1, "a", os.getpid(), 0.1))
        self.timeline.handle(PhaseSeen(101.0, "a", "", "body"))
        head, line = self.draw(112.5)
        self.assertRegex(head, r"0/400, 1 running  0:13")
        self.assertRegex(line, r"^pkg\.test_m\.Case\.test_it +body +12\.5 s +\d+ MiB$")

    def test_no_line_is_longer_than_the_terminal(self) -> None:
        for number in range(3):
            test = f"a.very.long.package.name.test_module.TestCaseWithALongName.test_{'x' * 90}_{number}"
            self.timeline.handle(AttemptStarted(100.0, test, (test,)))
            self.timeline.handle(TestSlow(101.0, test, test, 1.0))
            self.timeline.handle(PhaseSeen(101.0, test, test, "tearDownModule"))
            self.timeline.handle(finished(test, "failed"))
        for width in (40, 60, 80, 200):
            for line in self.draw(4000.0, width):
                self.assertLessEqual(len(line), width, line)

    def test_of_a_long_name_what_tells_the_test(self) -> None:
        test = "package.module_of_the_shop.CartOfTheShopTest.test_that_has_a_long_name"
        self.timeline.handle(AttemptStarted(1000.0, "a", (test,)))
        for width, shown in (
            (110, test),
            (90, "CartOfTheShopTest.test_that_has_a_long_name"),
            (70, "test_that_has_a_long_name"),
            (40, "test_that_has_a_long_name"),
            (30, "test_that_has_a_lo…"),
        ):
            with self.subTest(width):
                self.assertEqual(self.draw(1002.0, width)[1].split()[0], shown)

    def test_the_clock_is_that_of_the_run(self) -> None:
        written = io.StringIO()
        display = Display(written, colour=False)
        display.clock = lambda: 165.0  # however long the run was suspended
        display.follow(self.timeline)
        try:
            display.handle(started(400))
            wait_until(lambda: "1:05" in written.getvalue(), "a drawing")
        finally:
            display.close()

    def test_many_that_run_are_not_all_shown(self) -> None:
        for number in range(40):
            self.timeline.handle(AttemptStarted(100.0, str(number), (f"m.C.test_{number:02}",)))
        lines = self.draw(110.0)
        self.assertEqual(len(lines), 1 + MOST_ROWS + 1)
        self.assertEqual(lines[-1].strip(), f"and {40 - MOST_ROWS} more")
        self.assertLessEqual(len(self.draw(110.0, height=6)), 5)

    def test_a_name_cannot_break_the_drawing(self) -> None:
        self.timeline.handle(AttemptStarted(100.0, "a", ("m.C.test_\x1b[2J\n[red]x",)))
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
