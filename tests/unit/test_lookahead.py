"""Lookahead: without these tests, what follows a test could be ordered too early, or started twice."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import ChildExited, SlotGranted, SpawnFailed
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.model.results import ExitStatus
from isolatedunit.protocol.messages import ChildReady, FixtureStarted, OutcomeNoted
from tests.support.scheduling import conclude, plan, reported, settle

SAID: dict[str, Any] = {"attempt": "x", "pid": 1}


NAMES = ("a.X.one", "a.X.two", "a.X.three", "b.X.one")


def scheduler(*names: str, jobs: int = 1, fixtures: bool = False, **options: Any) -> Scheduler:
    policy = LatencyPolicy(Options(**options), "forkserver")
    return Scheduler("run", plan(*names, fixtures=fixtures), policy.options, slots=jobs, policy=policy)


class DecisionTest(unittest.TestCase):
    """The scheduler alone."""

    def begin(self, schedule: Scheduler) -> Attempt:
        attempt = schedule.next_attempt(0.0)
        assert attempt is not None
        return attempt

    def succeed(self, schedule: Scheduler, attempt: Attempt) -> Attempt:
        successor = schedule.successor_of(attempt)
        assert successor is not None
        return successor

    def test_the_next_of_the_group_follows(self) -> None:
        schedule = scheduler(*NAMES)
        first = self.begin(schedule)
        second = self.succeed(schedule, first)
        self.assertEqual([test.id for test in second.tests], ["a.X.two"])
        self.assertIsNone(schedule.successor_of(first), "only one is ordered")
        self.assertIsNone(schedule.next_attempt(0.0), "its slot is not free yet")
        conclude(first)
        settle(schedule, first)
        self.assertIs(schedule.next_attempt(0.0), second)
        self.assertEqual([test.id for test in self.succeed(schedule, second).tests], ["a.X.three"])
        self.assertEqual(schedule.lookahead.cancelled, [])

    def test_it_has_the_slot_of_the_one_before(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "b.X.one", "b.X.two", jobs=2)
        first = [self.begin(schedule), self.begin(schedule)]
        ordered = [self.succeed(schedule, attempt) for attempt in first]
        self.assertEqual([attempt.slot for attempt in ordered], [1, 2])
        for ended in reversed(first):  # both slots are free at the same time, and the second was first
            conclude(ended)
            settle(schedule, ended)
        begun = [self.begin(schedule), self.begin(schedule)]
        self.assertEqual([(attempt, attempt.slot) for attempt in begun], [(ordered[1], 2), (ordered[0], 1)])

    def test_nothing_follows_the_last_of_its_group(self) -> None:
        schedule = scheduler("a.X.one", "b.X.one")
        self.assertIsNone(schedule.successor_of(self.begin(schedule)))

    def test_nothing_is_ordered_where_it_is_not_sure_to_begin(self) -> None:
        for options in (
            {"failfast": True},
            {"max_failures": 1},
            {"max_crashes": 1},
            {"retries": 1},
            {"memory_limit": 2**30},
            {"isolation": "module"},
            {"exclusive": True},
            {"slots": 2},
            {"group": "database"},
            {"fork_after": "fixtures"},
        ):
            with self.subTest(**options):
                schedule = scheduler(*NAMES, **options)
                self.assertIsNone(schedule.successor_of(self.begin(schedule)))

    def test_nothing_is_ordered_that_has_fixtures(self) -> None:
        schedule = scheduler(*NAMES, fixtures=True)
        self.assertIsNone(schedule.successor_of(self.begin(schedule)), "that of the one before may fail")

    def test_who_comes_first_is_not_passed_by(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "b.X.one", "b.X.two", jobs=2)
        first, second = self.begin(schedule), self.begin(schedule)
        conclude(first)
        settle(schedule, first)
        self.assertIsNone(schedule.successor_of(second), "the next slot is for the other group's next test")
        self.begin(schedule)
        self.succeed(schedule, second)

    def test_one_that_could_not_be_spawned_is_tried_again_first(self) -> None:
        schedule = scheduler(*NAMES)
        first = self.begin(schedule)
        second = self.succeed(schedule, first)
        first.handle(SlotGranted(), 0.0)
        first.handle(SpawnFailed("no processes"), 0.0)
        settle(schedule, first)
        self.assertEqual(schedule.lookahead.cancelled, [second])
        again = schedule.next_attempt(1.0)
        assert again is not None
        self.assertEqual([test.id for test in again.tests], ["a.X.one"])

    def test_what_a_fixture_covers_does_not_begin(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "a.Y.one")
        first = self.begin(schedule)
        second = self.succeed(schedule, first)
        first.handle(SlotGranted(), 0.0)
        first.handle(ChildReady(**SAID), 0.0)
        first.handle(FixtureStarted(**SAID, fixture="setUpClass (a.X)"), 0.0)
        first.handle(OutcomeNoted(**SAID, fixture="setUpClass (a.X)", kind="addError", text="bad"), 0.0)
        first.handle(ChildExited(ExitStatus(exit_code=0)), 0.0)
        self.assertIn("setUpClass (a.X)", reported(settle(schedule, first)))
        following = schedule.next_attempt(0.0)
        assert following is not None
        self.assertEqual([test.id for test in following.tests], ["a.Y.one"])
        self.assertEqual(schedule.lookahead.cancelled, [second])

    def test_a_run_that_is_cancelled_wants_none(self) -> None:
        schedule = scheduler(*NAMES)
        first = self.begin(schedule)
        second = self.succeed(schedule, first)
        schedule.cancel()
        self.assertEqual(schedule.lookahead.cancelled, [second])
        conclude(first)
        settle(schedule, first)
        self.assertIsNone(schedule.next_attempt(0.0))
        self.assertFalse(schedule.has_more)
        self.assertEqual([test.id for test in schedule.not_run], list(NAMES[1:]))

    def test_it_was_spawned_when_its_slot_was_free(self) -> None:
        attempt = Attempt("x", plan("a.X.one"), Options())
        attempt.handle(SlotGranted(since=4.0), 5.0)
        attempt.handle(ChildReady(**SAID, at=4.5), 5.5)
        self.assertEqual(attempt.ready_at - attempt.spawned_at, 0.5)

    def test_no_clock_makes_it_begin_later_than_now(self) -> None:
        attempt = Attempt("x", plan("a.X.one"), Options())
        attempt.handle(SlotGranted(since=50.0), 5.0)
        self.assertEqual(attempt.spawned_at, 5.0)
