"""Progress without a terminal: without these tests, a log could show nothing for long, or its lines be broken up."""

from __future__ import annotations

import io
import unittest
from collections.abc import Callable

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    PhaseSeen,
    RunFinished,
    RunStarted,
    TestFinished,
)
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.terminal.progress_lines import INTERVAL, ProgressLines


def attempt(number: int, *tests: str) -> AttemptStarted:
    return AttemptStarted(100.0, f"run/{number}#1", tests or (f"m.C.test_{number}",))


def finished(test: str, outcome: str = "passed") -> TestFinished:
    return TestFinished(101.0, TestReport(test, outcome))


class ClockTest(unittest.TestCase):
    """With a clock that is ours: while it is waited for a line's time, something happens."""

    def printed(self, *moments: tuple[Event, ...], after_dots: bool = False) -> str:
        """What is printed of a run of five tests, where *moments* are what happens in each of the intervals."""
        stream = io.StringIO()
        waits: list[float] = []

        def wait(seconds: float) -> bool:
            for event in moments[len(waits)] if len(waits) < len(moments) else ():
                lines.timeline.handle(event)
                if isinstance(event, TestFinished):
                    lines.handle(event)
            waits.append(seconds)
            return len(waits) > len(moments)

        lines = ProgressLines(stream, after_dots=after_dots, wait=wait)
        lines.timeline.handle(RunStarted(100.0, "run", 5, 2, "spawn"))
        lines.print_often()
        self.assertEqual(set(waits), {INTERVAL})
        return stream.getvalue()

    def test_a_line_each_interval_and_none_at_the_end(self) -> None:
        self.assertEqual(self.printed(), "")
        self.assertEqual(
            self.printed(
                (attempt(1), attempt(2)),
                (),
                (finished("m.C.test_1"), AttemptFinished(101.0, "run/1#1", ("m.C.test_1",), 0.1, 1.0, 0, None)),
            ),
            "0 of 5 tests done, 2 running: m.C.test_1, m.C.test_2\n"
            "0 of 5 tests done, 2 running: m.C.test_1, m.C.test_2\n"
            "1 of 5 tests done, 1 running: m.C.test_2\n",
        )

    def test_a_line_begins_where_the_dots_end(self) -> None:
        self.assertEqual(
            self.printed((finished("a"),), (), (finished("b"),), after_dots=True),
            "\n1 of 5 tests done\n1 of 5 tests done\n\n2 of 5 tests done\n",
        )


class LineTest(unittest.TestCase):
    def line(self, planned: int, *events: Event) -> str:
        lines = ProgressLines(io.StringIO())
        lines.timeline.handle(RunStarted(100.0, "run", planned, 2, "spawn"))
        for event in events:
            lines.timeline.handle(event)
        return lines.line()

    def test_figures_are_grouped(self) -> None:
        many = [finished(str(number), "failed" if number < 3 else "passed") for number in range(1450)]
        self.assertEqual(self.line(11_781, *many), "1,450 of 11,781 tests done, 3 failed")

    def test_fixtures_that_failed_do_not_go_beyond_what_was_planned(self) -> None:
        self.assertEqual(self.line(1, finished("a"), finished("b", "error")), "1 of 1 tests done, 1 failed")

    def test_of_many_that_run_some_are_named(self) -> None:
        self.assertEqual(
            self.line(9, *map(attempt, range(6))),
            "0 of 9 tests done, 6 running: m.C.test_0, m.C.test_1, m.C.test_2, m.C.test_3, and 2 more",
        )

    def test_the_one_of_several_in_a_process_that_runs_is_named(self) -> None:
        events = attempt(1, "m.C.first", "m.C.second"), PhaseSeen(101.0, "run/1#1", "m.C.second", "body")
        self.assertEqual(self.line(2, *events), "0 of 2 tests done, 1 running: m.C.second")

    def test_a_name_is_on_one_line(self) -> None:
        self.assertEqual(self.line(1, attempt(1, "m.C.test_\n\x1b")), r"0 of 1 tests done, 1 running: m.C.test_\n\x1b")


class ThreadTest(unittest.TestCase):
    def test_it_begins_and_ends_with_the_run(self) -> None:
        lines = ProgressLines(io.StringIO())
        lines.handle(RunStarted(100.0, "run", 1, 1, "spawn"))
        thread = lines._thread
        assert thread is not None
        self.assertTrue(thread.is_alive())
        lines.handle(RunFinished(101.0, (), ()))
        self.assertFalse(thread.is_alive())
        lines.close()

    def test_a_stream_that_cannot_be_written_to_ends_it(self) -> None:
        stream = io.StringIO()
        stream.close()
        never_over: Callable[[float], bool] = lambda _: False  # noqa: E731 - it has to have this type
        ProgressLines(stream, wait=never_over).print_often()
