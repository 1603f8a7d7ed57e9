"""The timeline: without these tests, bar, page, trace, statistics and summary could all be wrong at once."""

from __future__ import annotations

import random
import unittest
from typing import Any

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    ChildStarted,
    ChildUnresponsive,
    Event,
    PhaseSeen,
    ProgressMade,
    ResourcesSampled,
    RetryScheduled,
    RunCancelled,
    RunFinished,
    RunStarted,
    TestFinished,
    TestQueued,
    TestSlow,
    Warned,
)
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.timeline import Span, Timeline
from tests.support.events import ORIGIN, Story


class TimelineTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.timeline = Timeline(100.0)
        self.now = 100.0

    def hear(self, event_type: type[Event], *values: Any, at: float | None = None, **more: Any) -> None:
        """An event happens, a second after the last one or *at* that time."""
        self.now = self.now + 1.0 if at is None else at
        self.timeline.handle(event_type(self.now, *values, **more))

    def start(self, attempt: str, *tests: str, at: float | None = None) -> Span:
        self.hear(AttemptStarted, attempt, tests or (attempt,), at=at)
        return self.timeline.running[attempt]

    def finish(self, attempt: str, *tests: str, cause: str | None = None, at: float | None = None) -> None:
        phases = {"spawn": 0.25, "tests": 0.5}
        self.hear(AttemptFinished, attempt, tests or (attempt,), 0.25, 1.0, 2**20, cause, phases, at=at)

    def settle(self, test: str, outcome: str = "passed") -> None:
        self.hear(TestFinished, TestReport(test, outcome))


class RunTest(TimelineTestCase):
    def test_before_the_first_event(self) -> None:
        timeline = self.timeline
        self.assertEqual((timeline.last, timeline.done, timeline.seconds, timeline.is_finished), (100.0, 0, 0.0, False))
        self.assertIsNone(timeline.run)
        self.assertEqual((timeline.running, timeline.not_run, timeline.warnings), ({}, (), []))

    def test_from_its_start_to_its_end(self) -> None:
        self.hear(Warned, "before anything ran")
        self.hear(RunStarted, "run", 3, 2, "spawn", at=110.0)
        assert self.timeline.run is not None
        self.assertEqual((self.timeline.run.run, self.timeline.planned, self.timeline.jobs), ("run", 3, 2))
        self.settle("a")
        self.settle("b", "failed")
        self.assertEqual((self.timeline.done, self.timeline.counts.failed, self.timeline.seconds), (2, 1, 2.0))
        self.hear(RunFinished, ("c",), ("d", "e"), at=120.0)
        self.assertEqual((self.timeline.missing, self.timeline.not_run), (("c",), ("d", "e")))
        self.assertEqual((self.timeline.seconds, self.timeline.is_finished), (10.0, True))
        self.assertEqual(self.timeline.warnings, ["before anything ran"])

    def test_fixtures_that_failed_do_not_go_beyond_what_was_planned(self) -> None:
        self.hear(RunStarted, "run", 4, 2, "spawn")
        for number in range(6):
            self.settle(str(number), "error")
        self.assertEqual((self.timeline.done, self.timeline.counts.tests), (4, 6))

    def test_why_it_stopped(self) -> None:
        self.hear(RunCancelled, "Ctrl-C was pressed", True)
        self.hear(RunCancelled, "a test failed", False)
        assert self.timeline.stopped is not None
        self.assertEqual((self.timeline.stopped.reason, self.timeline.interrupted), ("a test failed", True))

    def test_a_clock_that_went_back(self) -> None:
        self.hear(RunStarted, "run", 1, 1, "spawn", at=110.0)
        self.start("run/0#1", at=105.0)
        self.assertEqual((self.timeline.last, self.timeline.slot_use.offered), (110.0, 0.0))


class AttemptTest(TimelineTestCase):
    def test_from_its_start_to_its_end(self) -> None:
        span = self.start("a", "m.C.test")
        self.assertEqual((span.test, span.phase, span.slot, span.begin), ("m.C.test", "spawn", 1, 101.0))
        self.hear(ChildStarted, "a", 77, 0.1)
        self.assertEqual((span.process_id, span.spawn_time, span.phase), (77, 0.1, ""))
        self.hear(PhaseSeen, "a", "m.C.test", "setUp")
        self.assertEqual(span.phase, "setUp")
        self.hear(PhaseSeen, "a", "m.C.test", "test", "socket")
        self.assertEqual(span.phase, "test (socket)")
        self.hear(ResourcesSampled, "a", 5000, 0.5)
        self.assertEqual(span.rss, 5000)
        self.finish("a", "m.C.test", cause="crash")
        self.assertEqual((span.end, span.cause, span.peak_rss, span.spawn_time), (106.0, "crash", 2**20, 0.25))
        self.assertEqual(span.phases, {"spawn": 0.25, "tests": 0.5})
        self.assertEqual(self.timeline.running, {})

    def test_of_several_tests_the_one_that_runs(self) -> None:
        span = self.start("a", "m.C.test_1", "m.C.test_2")
        self.hear(PhaseSeen, "a", "m.C.test_2", "body")
        self.assertEqual(span.test, "m.C.test_2")
        self.hear(PhaseSeen, "a", "", "tearDownClass")
        self.assertEqual((span.test, span.phase), ("m.C.test_2", "tearDownClass"))

    def test_slow_and_unresponsive_ones_are_marked(self) -> None:
        span = self.start("a", "m.C.test")
        self.hear(TestSlow, "a", "m.C.test", 10.0)
        self.hear(ChildUnresponsive, "a", "m.C.test", 5.0)
        self.assertTrue(span.is_slow and span.is_silent)
        self.hear(PhaseSeen, "a", "m.C.test", "body")
        self.assertFalse(span.is_silent)

    def test_progress_that_a_test_reports(self) -> None:
        span = self.start("a", "m.C.test")
        self.hear(ProgressMade, "a", "m.C.test", 0.4, "loaded")
        self.assertEqual(span.progress, "40% loaded")

    def test_an_unknown_attempt_changes_nothing(self) -> None:
        for event in (
            ChildStarted(101.0, "who", 77, 0.1),
            PhaseSeen(101.0, "who", "m.C.test", "body"),
            ProgressMade(101.0, "who", "m.C.test", 0.4, ""),
            TestSlow(101.0, "who", "m.C.test", 10.0),
            ChildUnresponsive(101.0, "who", "m.C.test", 10.0),
            ResourcesSampled(101.0, "who", 1, 0.1),
            AttemptFinished(101.0, "who", (), None, 0.1, None, None),
        ):
            self.timeline.handle(event)
        self.assertEqual(self.timeline.running, {})
        self.assertEqual(self.start("a").slot, 1)

    def test_the_lowest_free_slot_is_taken(self) -> None:
        self.assertEqual([self.start(name).slot for name in "abc"], [1, 2, 3])
        self.finish("b")
        self.finish("a")
        self.assertEqual([self.start(name).slot for name in "def"], [1, 2, 4])

    def test_no_slot_is_taken_twice_whatever_happens(self) -> None:
        chance = random.Random(7)
        for number in range(2000):
            running = self.timeline.running
            if running and (len(running) == 8 or chance.random() < 0.5):
                self.finish(chance.choice([*running]))
            else:
                self.start(f"run/{number}#1")
            slots = sorted(span.slot for span in running.values())
            self.assertEqual(len({*slots}), len(slots))
            self.assertLessEqual(slots[-1:], [8])


class SlotUseTest(TimelineTestCase):
    def test_busy_slots_and_waiting_tests(self) -> None:
        use = self.timeline.slot_use
        self.hear(RunStarted, "run", 2, 2, "spawn", at=110.0)
        self.start("run/0#1", at=110.0)
        self.assertEqual((use.offered, use.busy), (0.0, 0.0))
        self.hear(TestQueued, 5, at=111.0)
        self.assertEqual((use.offered, use.busy), (2.0, 1.0))  # one of two, so far
        self.start("run/5#1", at=114.0)
        self.finish("run/0#1", at=115.0)
        self.finish("run/5#1", at=120.0)
        self.hear(RunFinished, (), at=120.0)
        self.settle("late")  # when the run is over no slot is idle
        self.assertEqual((use.offered, use.busy), (20.0, 5.0 + 6.0))
        self.assertEqual((use.waited, use.waits), (0.0 + 3.0, 2))

    def test_a_second_attempt_is_not_a_second_wait(self) -> None:
        self.hear(RunStarted, "run", 1, 1, "spawn")
        self.start("run/0#1")
        self.finish("run/0#1")
        self.start("run/0#2", at=500.0)
        self.assertEqual((self.timeline.slot_use.waited, self.timeline.slot_use.waits), (1.0, 1))

    def test_collecting_the_tests_is_no_use_of_slots(self) -> None:
        self.start("run/collect")
        self.finish("run/collect")
        self.hear(RunStarted, "run", 1, 4, "spawn")
        use = self.timeline.slot_use
        self.assertEqual((use.offered, use.busy, use.waits), (0.0, 0.0, 0))


class KeptTest(TimelineTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.timeline.keep_spans()
        self.timeline.keep_reports()

    def settled(self) -> list[str]:
        return [span.attempt for span in self.timeline.settled]

    def test_a_span_is_settled_when_all_its_outcomes_are_known(self) -> None:
        span = self.start("a", "x", "y")
        self.settle("x")
        self.finish("a", "x", "y")
        self.assertEqual((self.settled(), [*self.timeline.unsettled]), ([], ["a"]))
        self.settle("y", "failed")
        self.assertEqual((self.settled(), self.timeline.unsettled), (["a"], {}))
        self.assertEqual(span.outcomes, {"x": "passed", "y": "failed"})

    def test_outcomes_that_come_before_the_end(self) -> None:
        self.start("a", "x")
        self.settle("x")
        self.finish("a", "x")
        self.assertEqual(self.settled(), ["a"])

    def test_a_retry_is_an_outcome_of_the_attempt_before_it(self) -> None:
        first = self.start("run/0#1", "x")
        self.finish("run/0#1", "x")
        self.hear(RetryScheduled, "run/0#1", "x", "failed", None, 1)
        second = self.start("run/0#2", "x")
        self.finish("run/0#2", "x")
        self.settle("x")
        self.assertEqual((first.outcomes, second.outcomes), ({"x": "failed"}, {"x": "passed"}))
        self.assertEqual(self.settled(), ["run/0#1", "run/0#2"])

    def test_the_end_of_the_run_settles_what_is_left(self) -> None:
        self.start("a", "x")
        self.finish("a", "x", cause="cancelled")
        self.hear(RunFinished, (), ("x",))
        self.assertEqual((self.settled(), self.timeline.unsettled), (["a"], {}))

    def test_spans_are_in_the_order_in_which_they_began(self) -> None:
        for name in "abc":
            self.start(name)
        for name in "cab":
            self.finish(name)
            self.settle(name)
        self.assertEqual([span.attempt for span in self.timeline.spans], ["a", "b", "c"])
        self.assertEqual(self.settled(), ["c", "a", "b"])

    def test_reports(self) -> None:
        for name in "ab":
            self.settle(name)
        self.assertEqual([report.id for report in self.timeline.reports], ["a", "b"])


class SizeTest(unittest.TestCase):
    def test_what_is_over_is_forgotten_unless_somebody_keeps_it(self) -> None:
        timeline, kept = Timeline(ORIGIN.time), Timeline(ORIGIN.time)
        kept.keep_spans()
        kept.keep_reports()
        story = Story(timeline, kept)
        story.begin(200)
        for number in range(200):
            story.attempt(f"m.C.test_{number}")
            story.settle(f"m.C.test_{number}")
        story.end()
        for name, value in vars(timeline).items():
            if isinstance(value, (dict, list)):
                self.assertLess(len(value), 10, name)
        self.assertEqual((len(kept.spans), len(kept.settled), len(kept.reports)), (200, 200, 200))

    def test_whoever_joins_late_knows_the_rest(self) -> None:
        timeline = Timeline()
        timeline.handle(AttemptStarted(1.0, "a", ("x",)))
        timeline.keep_spans()
        timeline.handle(TestFinished(2.0, TestReport("x", "passed")))
        timeline.handle(AttemptFinished(2.0, "a", ("x",), None, 1.0, None, None))
        self.assertEqual([*timeline.unsettled], ["a"])
        timeline.handle(RunFinished(3.0, ()))
        self.assertEqual(len(timeline.settled), 1)


if __name__ == "__main__":
    unittest.main()
