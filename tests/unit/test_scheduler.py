"""The scheduler: without these tests, a test could be started twice, never, or be reported without having run."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import ChildExited, DeadlinePassed, SlotGranted, SpawnFailed
from isolatedunit.engine.scheduling.backlog import SPAWN_BACKOFF
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.settler import SPAWN_TRIES
from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event, RetryScheduled
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.results import ExitStatus, PlannedTest
from isolatedunit.protocol.messages import (
    ChildReady,
    FixtureStarted,
    HandlesCleaned,
    OutcomeNoted,
    TestEnded,
    TestStarted,
    WorkFinished,
)
from tests.support.scheduling import SAID, conclude, ids, plan, reported, scheduler, settle, take


class UnitsTest(unittest.TestCase):
    NAMES = ("a.X.one", "a.X.two", "a.Y.one", "b.X.one", "b.X.two")

    def units(self, **options: Any) -> list[list[str]]:
        schedule = scheduler(*self.NAMES, **options)
        found = []
        while schedule.has_more:
            for attempt in take(schedule):
                found += ids([attempt])
                conclude(attempt)
                settle(schedule, attempt)
        return sorted(found)

    def test_isolation(self) -> None:
        a, b, c, d, e = self.NAMES
        self.assertEqual(self.units(isolation="test"), [[a], [b], [c], [d], [e]])
        self.assertEqual(self.units(isolation="class"), [[a, b], [c], [d, e]])
        self.assertEqual(self.units(isolation="module"), [[a, b, c], [d, e]])
        self.assertEqual(self.units(isolation="none"), [[a, b, c, d, e]])

    def test_a_class_may_override_it(self) -> None:
        tests = plan(*self.NAMES)
        tests[1] = PlannedTest(
            1, "a.X.two", "", None, "a.X", "a", home={"module": "a"}, overrides={"isolation": "test"}
        )
        schedule = Scheduler("run", tests, Options(isolation="module", parallel_by="test"))
        self.assertEqual(ids(take(schedule)), [["a.X.one"], ["a.X.two"], ["a.Y.one"], ["b.X.one", "b.X.two"]])

    def test_tests_that_need_another_kind_of_process_do_not_share_one(self) -> None:
        tests = plan("a.X.one", "a.X.two")
        tests[1] = PlannedTest(
            1, "a.X.two", "", None, "a.X", "a", home={"module": "a"}, overrides={"memory_limit": 2**20}
        )
        schedule = Scheduler("run", tests, Options(isolation="class", parallel_by="test"))
        self.assertEqual(ids(take(schedule)), [["a.X.one"], ["a.X.two"]])

    def test_a_wrong_override_is_told_with_its_test(self) -> None:
        tests = [PlannedTest(0, "a.X.one", "", None, "a.X", "a", overrides={"retries": "x"})]
        with self.assertRaisesRegex(OptionError, "a.X.one: retries"):
            Scheduler("run", tests, Options())


class LiarsTest(unittest.TestCase):
    def test_the_second_test_was_done_and_not_the_first(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", isolation="class")
        (first,) = take(schedule)
        first.handle(SlotGranted(), 0.0)
        first.handle(ChildReady(**SAID), 0.0)
        first.handle(TestEnded(**SAID, test=1, duration=0.1, counted=True, succeeded=True), 0.0)
        first.handle(ChildExited(ExitStatus(exit_code=0)), 0.0)
        settle(schedule, first)
        (second,) = take(schedule)
        self.assertEqual(ids([second]), [["a.X.one"]])
        self.assertNotEqual(second.id, first.id)


class GroupsTest(unittest.TestCase):
    """Of one group, one unit runs at a time, in order; groups run side by side."""

    def test_modules(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "b.X.one")
        first = take(schedule)
        self.assertEqual(ids(first), [["a.X.one"], ["b.X.one"]])
        conclude(first[0])
        settle(schedule, first[0])
        self.assertEqual(ids(take(schedule)), [["a.X.two"]])

    def test_classes(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "a.Y.one", parallel_by="class")
        self.assertEqual(ids(take(schedule)), [["a.X.one"], ["a.Y.one"]])

    def test_tests(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "a.Y.one", parallel_by="test")
        self.assertEqual(len(take(schedule)), 3)

    def test_a_module_that_was_begun_goes_on_before_a_new_one_begins(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "b.X.one")
        first = schedule.next_attempt(0.0)
        assert first is not None
        conclude(first)
        settle(schedule, first)
        following = schedule.next_attempt(0.0)
        assert following is not None
        self.assertEqual(following.tests[0].id, "a.X.two")

    def test_ids_of_attempts_are_unique(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "b.X.one", retries=2, parallel_by="test")
        seen: set[str] = set()
        while schedule.has_more:
            for attempt in take(schedule):
                self.assertNotIn(attempt.id, seen)
                seen.add(attempt.id)
                conclude(attempt, 0)
                settle(schedule, attempt)
        self.assertEqual(len(seen), 9)


class UnbegunTest(unittest.TestCase):
    NAMES = tuple(f"{module}.T.t{number}" for module in "abc" for number in range(4))

    def test_it_is_what_is_neither_reported_nor_run(self) -> None:
        for isolation in ("test", "class", "none"):
            with self.subTest(isolation):
                schedule = Scheduler("run", plan(*self.NAMES), Options(isolation=isolation, retries=1), slots=2)
                self.assertEqual(schedule.unbegun, 12)
                running: list[Attempt] = []
                for turn in range(100):
                    running += take(schedule)
                    begun = sum(len(one.tests) for one in running)
                    self.assertEqual(schedule.unbegun, len(schedule.not_run) - begun)
                    if not running:
                        break
                    ended = running.pop(0)
                    conclude(ended, *(() if turn % 3 else (0,)))
                    settle(schedule, ended)
                self.assertEqual((running, schedule.unbegun), ([], 0))

    def test_nothing_is_to_begin_once_the_run_is_cancelled(self) -> None:
        schedule = scheduler(*self.NAMES)
        self.assertEqual(schedule.unbegun, 12)
        schedule.cancel()
        self.assertEqual(schedule.unbegun, 0)


class SettleTest(unittest.TestCase):
    def test_each_test_is_reported_once(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", isolation="class")
        (attempt,) = take(schedule)
        conclude(attempt, 1)
        events = settle(schedule, attempt)
        self.assertEqual(reported(events), {"a.X.one": "passed", "a.X.two": "failed"})
        self.assertFalse(schedule.has_more)
        self.assertEqual(schedule.report_missing(), [])

    def test_what_was_never_reported_is_missing(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two")
        attempt = take(schedule)[0]
        conclude(attempt)
        settle(schedule, attempt)
        (missing,) = schedule.report_missing()
        self.assertEqual((missing.id, missing.outcome), ("a.X.two", "error"))

    def test_retries(self) -> None:
        schedule = scheduler("a.X.one", retries=2)
        for left in (1, 0):
            (attempt,) = take(schedule)
            conclude(attempt, 0)
            (event,) = settle(schedule, attempt)
            assert isinstance(event, RetryScheduled)
            self.assertEqual((event.test, event.outcome, event.retries_left), ("a.X.one", "failed", left))
        (attempt,) = take(schedule)
        conclude(attempt)
        (event,) = settle(schedule, attempt)
        assert isinstance(event, Finished)
        self.assertTrue(event.report.flaky)
        self.assertEqual([one.outcome for one in event.report.attempts], ["failed", "failed", "passed"])
        self.assertEqual([one.number for one in event.report.attempts], [1, 2, 3])

    def test_of_several_tests_only_the_bad_one_is_tried_again(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", isolation="class", retries=1)
        (attempt,) = take(schedule)
        conclude(attempt, 1)
        settle(schedule, attempt)
        self.assertEqual(ids(take(schedule)), [["a.X.two"]])

    def test_tests_after_a_crash_run_in_another_process(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "a.X.three", isolation="class")
        (attempt,) = take(schedule)
        attempt.handle(SlotGranted(), 0.0)
        attempt.handle(ChildReady(**SAID), 0.0)
        attempt.handle(TestStarted(**SAID, test=0), 0.0)
        attempt.handle(ChildExited(ExitStatus(signal="SIGSEGV")), 0.0)
        self.assertEqual(reported(settle(schedule, attempt)), {"a.X.one": "error"})
        self.assertEqual(ids(take(schedule)), [["a.X.two", "a.X.three"]])

    def test_nothing_is_tried_again_once_the_run_is_cancelled(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", retries=5)
        (attempt,) = take(schedule)
        schedule.cancel()
        conclude(attempt, 0)
        self.assertEqual(reported(settle(schedule, attempt)), {"a.X.one": "failed"})
        self.assertFalse(schedule.has_more)
        self.assertEqual(take(schedule), [])

    def test_leaks(self) -> None:
        for leaks, outcome, cause, kinds in (
            ("ignore", "passed", None, ["TestFinished"]),
            ("warn", "passed", None, ["TestFinished", "Warned"]),
            ("fail", "failed", "leak", ["TestFinished"]),
        ):
            with self.subTest(leaks):
                schedule = scheduler("a.X.one", leaks=leaks)
                (attempt,) = take(schedule)
                status = ExitStatus(exit_code=0, leftovers=({"pid": 5, "command": "sleep 1000"},))
                conclude(attempt, status=status)
                events = settle(schedule, attempt)
                self.assertEqual([type(event).__name__ for event in events], kinds)
                finished = events[0]
                assert isinstance(finished, Finished)
                self.assertEqual((finished.report.outcome, finished.report.cause), (outcome, cause))
                self.assertEqual(finished.report.attempts[0].handle_stats["leaked"], 1)

    def test_leaks_that_make_no_sense(self) -> None:
        for told in ({}, {"leaks": "x"}, {"leaks": [1, {"kind": 1}, {"kind": "file"}]}, {"leaked": "many"}):
            with self.subTest(told):
                (attempt,) = take(scheduler("a.X.one", leaks="fail"))
                attempt.handle(SlotGranted(), 0.0)
                attempt.handle(ChildReady(**SAID), 0.0)
                attempt.handle(TestStarted(**SAID, test=0), 0.0)
                attempt.handle(TestEnded(**SAID, test=0, duration=0.1, counted=True, succeeded=True), 0.0)
                attempt.handle(WorkFinished(**SAID), 0.0)
                attempt.handle(HandlesCleaned(**SAID, handle_stats=told), 0.0)
                attempt.handle(ChildExited(ExitStatus(exit_code=0)), 0.0)
                self.assertEqual(attempt.evidence.leftovers.stats.get("leaks", []), [])


class FixturesTest(unittest.TestCase):
    FIXTURE = "setUpClass (a.X)"

    def fail_fixture(self, attempt: Attempt, fixture: str = FIXTURE, kind: str = "addError") -> None:
        attempt.handle(SlotGranted(), 0.0)
        attempt.handle(ChildReady(**SAID), 0.0)
        attempt.handle(FixtureStarted(**SAID, fixture=fixture), 0.0)
        attempt.handle(OutcomeNoted(**SAID, fixture=fixture, kind=kind, text="bad", message="bad"), 0.0)
        attempt.handle(WorkFinished(**SAID), 0.0)
        attempt.handle(HandlesCleaned(**SAID, handle_stats={}), 0.0)
        attempt.handle(ChildExited(ExitStatus(exit_code=0)), 0.0)

    def test_it_is_told_once_and_covers_the_tests_of_its_class(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "a.Y.one", parallel_by="test")
        one, two, other = take(schedule)
        self.fail_fixture(one)
        self.assertEqual(reported(settle(schedule, one)), {self.FIXTURE: "error"})
        self.fail_fixture(two)
        self.assertEqual(settle(schedule, two), [])
        conclude(other)
        settle(schedule, other)
        self.assertEqual(schedule.report_missing(), [])

    def test_tests_of_its_class_are_not_even_begun(self) -> None:
        schedule = scheduler("a.X.one", "a.X.two", "a.Y.one")
        (one,) = take(schedule)
        self.fail_fixture(one)
        settle(schedule, one)
        self.assertEqual(ids(take(schedule)), [["a.Y.one"]])

    def test_a_fixture_of_the_module_covers_all_of_it(self) -> None:
        schedule = scheduler("a.X.one", "a.Y.one", "b.X.one")
        one, other = take(schedule)
        self.fail_fixture(one, "setUpModule (a)", "addSkip")
        self.assertEqual(reported(settle(schedule, one)), {"setUpModule (a)": "skipped"})
        conclude(other)
        settle(schedule, other)
        self.assertFalse(take(schedule) or schedule.has_more or schedule.report_missing())


class SpawnFailureTest(unittest.TestCase):
    def fail_spawn(self, schedule: Scheduler, attempt: Attempt, now: float, lasting: bool = False) -> list[Event]:
        attempt.handle(SlotGranted(), now)
        attempt.handle(SpawnFailed("no processes left", lasting), now)
        return settle(schedule, attempt, now)

    def test_it_is_tried_again_later_and_later_and_then_reported(self) -> None:
        schedule = scheduler("a.X.one")
        now = 0.0
        for tries in range(SPAWN_TRIES - 1):
            (attempt,) = take(schedule, now)
            self.assertEqual(self.fail_spawn(schedule, attempt, now), [])
            self.assertEqual(take(schedule, now), [])
            wakeup = schedule.next_wakeup
            assert wakeup is not None
            self.assertAlmostEqual(wakeup - now, SPAWN_BACKOFF * 2**tries)
            now = wakeup
        (attempt,) = take(schedule, now)
        (event,) = self.fail_spawn(schedule, attempt, now)
        assert isinstance(event, Finished)
        self.assertEqual((event.report.outcome, event.report.cause), ("error", "spawn"))
        self.assertIn(f"({SPAWN_TRIES} tries): no processes left", event.report.traceback)

    def test_a_lasting_reason_is_told_at_once(self) -> None:
        schedule = scheduler("a.X.one")
        (attempt,) = take(schedule)
        self.assertEqual(reported(self.fail_spawn(schedule, attempt, 0.0, lasting=True)), {"a.X.one": "error"})

    def test_no_sign_of_life_is_a_failed_spawn(self) -> None:
        schedule = scheduler("a.X.one", spawn_timeout=5)
        (attempt,) = take(schedule)
        attempt.handle(SlotGranted(), 0.0)
        attempt.handle(DeadlinePassed(), 5.0)
        attempt.handle(ChildExited(ExitStatus(signal="SIGTERM")), 6.0)
        self.assertEqual(settle(schedule, attempt, 6.0), [])
        self.assertIsNotNone(schedule.next_wakeup)

    def test_the_whole_run_has_a_budget(self) -> None:
        schedule = scheduler(*(f"a.X.test_{number}" for number in range(40)))
        now, spawns = 0.0, 0
        while schedule.has_more:
            for attempt in take(schedule, now):
                self.fail_spawn(schedule, attempt, now)
                spawns += 1
            now += 100.0
        self.assertEqual(schedule.report_missing(), [])
        self.assertLess(spawns, 40 + 20 + 40 // 10 + 1)
