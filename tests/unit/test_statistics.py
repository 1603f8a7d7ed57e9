"""Statistics: without these tests, the figures of a run could be computed wrongly from its events."""

from __future__ import annotations

import unittest

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    RunFinished,
    RunStarted,
    TestFinished,
    TestQueued,
)
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.statistics import Statistics
from isolatedunit.reporters.terminal.summary import table_of
from isolatedunit.reporters.timeline import Timeline


class FiguresTest(unittest.TestCase):
    def setUp(self) -> None:
        self.timeline, self.statistics = Timeline(), Statistics()
        self.statistics.follow(self.timeline)

    def hear(self, event: Event) -> None:
        self.timeline.handle(event)
        self.statistics.handle(event)

    def attempt(self, name: str, begin: float, end: float, spawn_time: float, peak: int = 0, **phases: float) -> None:
        self.hear(AttemptStarted(begin, f"run/{name}", (name,)))
        self.hear(AttemptFinished(end, f"run/{name}", (name,), spawn_time, end - begin, peak, None, phases))

    def test_nothing_has_run(self) -> None:
        figures = self.statistics.as_dict()
        self.assertEqual(figures["total_processes_spawned"], 0)
        self.assertEqual(
            (figures["average_spawn_time"], figures["slots_busy"], figures["average_queue_time"]), (0, 0, 0)
        )
        self.assertIn("unknown", "\n".join(table_of(figures)))

    def test_spawn_times_and_memory(self) -> None:
        for number, spawn_time in enumerate((0.1, 0.2, 0.6)):
            self.attempt(f"{number}#1", 0.0, 1.0, spawn_time, peak=100 - number)
        figures = self.statistics.as_dict()
        self.assertAlmostEqual(figures["average_spawn_time"], 0.3)
        self.assertAlmostEqual(figures["median_spawn_time"], 0.2)
        self.assertAlmostEqual(figures["slowest_spawn_time"], 0.6)
        self.assertEqual((figures["peak_memory_usage"], figures["peak_memory_test"]), (100, "0#1"))

    def test_slots_and_queue(self) -> None:
        statistics = self.statistics
        self.hear(RunStarted(10.0, "run", 2, 2, "spawn"))
        self.hear(AttemptStarted(10.0, "run/0#1", ("a",)))
        self.assertEqual(statistics.as_dict()["slots_busy"], 0.0)
        self.hear(TestQueued(11.0, 5))
        self.assertAlmostEqual(statistics.as_dict()["slots_busy"], 0.5)  # one of two, so far
        self.hear(AttemptStarted(14.0, "run/5#1", ("b",)))
        for end, name in ((15.0, "run/0#1"), (20.0, "run/5#1")):
            self.hear(AttemptFinished(end, name, ("x",), 0.1, 1.0, None, None))
        self.hear(RunFinished(20.0, ()))
        self.hear(TestFinished(100.0, TestReport("x", "passed")))  # between two runs no slot is idle
        figures = statistics.as_dict()
        self.assertAlmostEqual(figures["slots_busy"], (5 + 6) / 20)
        self.assertAlmostEqual(figures["average_queue_time"], (0 + 3) / 2)

    def test_a_second_attempt_is_not_a_second_wait(self) -> None:
        self.hear(RunStarted(0.0, "run", 1, 1, "spawn"))
        self.attempt("0#1", 1.0, 2.0, 0.1)
        self.attempt("0#2", 50.0, 51.0, 0.1)
        self.assertEqual(self.statistics.as_dict()["average_queue_time"], 1.0)

    def test_phases_and_causes(self) -> None:
        self.attempt("0#1", 0.0, 1.0, 0.1, spawn=0.1, tests=0.5, cleanup=0.2)
        self.attempt("1#1", 0.0, 1.0, 0.1, spawn=0.1, fixtures=0.3, tests=0.5)
        for outcome, cause in (("error", "crash"), ("error", "crash"), ("error", "timeout"), ("failed", None)):
            self.hear(TestFinished(1.0, TestReport("x", outcome, cause)))
        figures = self.statistics.as_dict()
        self.assertEqual(figures["failures_by_cause"], {"crash": 2, "timeout": 1})
        self.assertAlmostEqual(figures["time"]["tests"], 1.0)
        self.assertAlmostEqual(figures["time_lost_to_isolation"], 0.7)
        self.assertIn("failures by cause   2 crash, 1 timeout", table_of(figures))
