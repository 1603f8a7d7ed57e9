"""Groups, slots and retries: without these tests, tests that exclude each other could run at the same time."""

from __future__ import annotations

import unittest
from collections.abc import Mapping, Sequence
from typing import Any

from isolatedunit.config.options import Options, overriding
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.slots import Needs, SlotPool
from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event, RetryScheduled
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.results import ExitStatus, PlannedTest
from tests.support.scheduling import conclude, ids, plan, reported, settle, take


def with_overrides(tests: Sequence[PlannedTest], overrides: Mapping[str, Mapping[str, Any]]) -> list[PlannedTest]:
    """The tests, those that are named with overrides of their own."""
    fields = ("number", "id", "name", "description", "class_id", "module", "home")
    return [
        PlannedTest(**{name: getattr(test, name) for name in fields}, overrides=dict(overrides.get(test.id, {})))
        for test in tests
    ]


def schedule_of(
    names: Sequence[str], overrides: Mapping[str, Mapping[str, Any]], slots: int | None = 4, **options: Any
) -> Scheduler:
    values = Options(**{"parallel_by": "test", **options}, groups=(("pair", 2),))
    return Scheduler("run", with_overrides(plan(*names), overrides), values, Expectations(keeps_order=True), slots)


def running(attempts: Sequence[Attempt]) -> list[str]:
    return [test for group in ids(attempts) for test in group]


NAMES = ("a.X.one", "a.X.two", "a.X.three", "b.X.one", "b.X.two", "b.X.three")


class RoomTest(unittest.TestCase):
    def test_no_more_than_there_are_slots(self) -> None:
        schedule = schedule_of(NAMES, {}, slots=2)
        first = take(schedule)
        self.assertEqual(running(first), ["a.X.one", "a.X.two"])
        conclude(first[1])
        settle(schedule, first[1])
        self.assertEqual(running(take(schedule)), ["a.X.three"])

    def test_each_process_has_the_lowest_number_that_no_other_has(self) -> None:
        schedule = schedule_of(NAMES, {"b.X.one": {"slots": 2}}, slots=3)
        first = take(schedule)
        self.assertEqual([attempt.slot for attempt in first], [1, 2, 3])
        for ended in (first[2], first[0]):
            conclude(ended)
            settle(schedule, ended)
        (large,) = take(schedule)  # takes both free slots, and has the number of one
        self.assertEqual((running([large]), large.slot), (["b.X.one"], 1))
        conclude(first[1])
        settle(schedule, first[1])
        self.assertEqual([attempt.slot for attempt in take(schedule)], [2])

    def test_a_named_group_has_as_many_as_it_says_and_the_others_go_past(self) -> None:
        of_pair = {"group": "pair"}
        schedule = schedule_of(NAMES, dict.fromkeys(NAMES[:4], of_pair), slots=8)
        first = take(schedule)
        self.assertEqual(running(first), ["a.X.one", "a.X.two", "b.X.two", "b.X.three"])
        conclude(first[0])
        settle(schedule, first[0])
        self.assertEqual(running(take(schedule)), ["a.X.three"])
        self.assertTrue(schedule.has_more)

    def test_a_group_of_which_nothing_is_said_has_one(self) -> None:
        schedule = schedule_of(NAMES[:2], {name: {"group": "other"} for name in NAMES[:2]})
        self.assertEqual(running(take(schedule)), ["a.X.one"])

    def test_an_exclusive_test_is_alone_and_is_not_overtaken(self) -> None:
        schedule = schedule_of(NAMES[:4], {"a.X.two": {"exclusive": True}}, slots=4)
        (first,) = take(schedule)
        self.assertEqual(running([first]), ["a.X.one"])
        conclude(first)
        settle(schedule, first)
        (alone,) = take(schedule)
        self.assertEqual(running([alone]), ["a.X.two"])
        conclude(alone)
        settle(schedule, alone)
        self.assertEqual(running(take(schedule)), ["a.X.three", "b.X.one"])

    def test_a_test_that_stands_for_several_slots(self) -> None:
        schedule = schedule_of(NAMES[:3], {"a.X.two": {"slots": 3}}, slots=3)
        (first,) = take(schedule)
        conclude(first)
        settle(schedule, first)
        (wide,) = take(schedule)
        self.assertEqual(running([wide]), ["a.X.two"])

    def test_more_slots_than_there_are_means_all(self) -> None:
        schedule = schedule_of(NAMES[:2], {"a.X.one": {"slots": 99}}, slots=2)
        (first,) = take(schedule)
        self.assertEqual(running([first]), ["a.X.one"])

    def test_a_process_of_several_tests_needs_what_each_of_them_does(self) -> None:
        options = [Options(group="b", slots=2), Options(group="a", exclusive=True), Options()]
        self.assertEqual(Needs.of(options), Needs(2, ("a", "b"), True))

    def test_what_is_taken_is_given_back(self) -> None:
        slots_left = SlotPool(3, {"x": 2})
        needs = [Needs(2, ("x",)), Needs(1, ("x",))]
        numbers = []
        for one in needs:
            self.assertTrue(slots_left.has(one))
            numbers.append(slots_left.occupy(one))
        self.assertEqual(slots_left.full_group(needs[0]), "x")
        self.assertFalse(slots_left.has(Needs()))
        for one, number in zip(needs, numbers, strict=True):
            slots_left.release(one, number)
        self.assertIsNone(slots_left.full_group(needs[0]))
        self.assertTrue(slots_left.has(Needs(exclusive=True)))

    def test_cancelled_with_some_parked(self) -> None:
        schedule = schedule_of(NAMES[:3], {name: {"group": "one"} for name in NAMES[:3]})
        (first,) = take(schedule)
        schedule.cancel()
        self.assertFalse(schedule.has_more)
        conclude(first)
        settle(schedule, first)
        self.assertEqual([test.id for test in schedule.not_run], ["a.X.two", "a.X.three"])


class RetryTest(unittest.TestCase):
    def fail(self, schedule: Scheduler, now: float, *bad: int, status: ExitStatus | None = None) -> list[Event]:  # type: ignore[override]
        (attempt,) = take(schedule, now)
        conclude(attempt, *bad, status=status, now=now)
        return settle(schedule, attempt, now)

    def test_delay_that_doubles(self) -> None:
        schedule = schedule_of(NAMES[:1], {}, retries=3, retry_delay=1.0, retry_backoff="exponential")
        now = 10.0
        for delay in (1.0, 2.0, 4.0):
            self.assertIsInstance(self.fail(schedule, now, 0)[0], RetryScheduled)
            self.assertEqual(schedule.next_wakeup, now + delay)
            self.assertEqual(take(schedule, now + delay - 0.01), [])
            self.assertTrue(schedule.has_more)
            now += delay
        self.assertEqual(reported(self.fail(schedule, now, 0)), {"a.X.one": "failed"})
        self.assertFalse(schedule.has_more)

    def test_fixed_delay_lets_others_of_the_module_go_on(self) -> None:
        schedule = schedule_of(NAMES[:2], {}, retries=2, retry_delay=1.0, parallel_by="module")
        self.fail(schedule, 0.0, 0)
        self.assertEqual(reported(self.fail(schedule, 0.1)), {"a.X.two": "passed"})
        self.fail(schedule, 1.0, 0)
        self.assertEqual(schedule.next_wakeup, 2.0)

    def test_only_for_what_is_named(self) -> None:
        schedule = schedule_of(NAMES[:1], {}, retries=2, retry_on=("crash",))
        self.assertEqual(reported(self.fail(schedule, 0.0, 0)), {"a.X.one": "failed"})
        schedule = schedule_of(NAMES[:1], {}, retries=2, retry_on=("crash", "failed"))
        self.assertIsInstance(self.fail(schedule, 0.0, 0)[0], RetryScheduled)

    def test_flaky_is_told_apart_and_may_fail(self) -> None:
        for flaky, outcome, cause in (("pass", "passed", None), ("fail", "failed", "flaky")):
            with self.subTest(flaky):
                schedule = schedule_of(NAMES[:1], {}, retries=1, flaky=flaky)
                self.fail(schedule, 0.0, 0)
                (finished,) = self.fail(schedule, 0.0)
                assert isinstance(finished, Finished)
                report = finished.report
                self.assertEqual((report.outcome, report.cause, report.flaky), (outcome, cause, True))
                self.assertEqual([one.outcome for one in report.attempts], ["failed", outcome])

    def test_dropped_while_it_waits_for_another_try(self) -> None:
        schedule = Scheduler("run", [], Options(retries=1, retry_delay=1.0))
        (test,) = plan("a.X.one")
        schedule.add(test)
        self.fail(schedule, 0.0, 0)
        schedule.drop(test.number)
        self.assertFalse(schedule.has_more)


class OverridesTest(unittest.TestCase):
    TABLES = (
        {"tests": "a.X.t*", "process_timeout": 300, "retries": 1},
        {"tests": "a.*", "process_timeout": 5, "group": "pair"},
    )

    def test_the_first_match_of_each_option_wins(self) -> None:
        options = Options().with_values({"overrides": self.TABLES}, "here")
        self.assertEqual(
            overriding(options.overrides, "a.X.two"),
            {"process_timeout": (300.0, "a.X.t*"), "retries": (1, "a.X.t*"), "group": ("pair", "a.*")},
        )
        self.assertEqual(overriding(options.overrides, "b.X.two"), {})

    def test_a_class_wins_over_them_and_they_over_the_run(self) -> None:
        options = Options(process_timeout=1.0).with_values({"overrides": self.TABLES}, "here")
        tests = with_overrides(plan(*NAMES), {"a.X.one": {"process_timeout": 7.0}})
        schedule = Scheduler("run", tests, options)
        found = [schedule.options_of(test).process_timeout for test in tests]
        self.assertEqual(found, [7.0, 300.0, 300.0, 1.0, 1.0, 1.0])

    def test_wrong_ones_are_told_with_their_pattern(self) -> None:
        for tables, told in (
            ([{"tests": "a.*", "process_timeout": "x"}], "the override for 'a.*': process_timeout: invalid value 'x'"),
            ([{"tests": "a.*", "jobs": 3}], "the override for 'a.*': 'jobs' cannot be set for single tests"),
            ([{"process_timeout": 3}], "override 1: .* expected a pattern as tests"),
            ([{"tests": "a.*"}], "the override for 'a.*': .* options for what matches"),
        ):
            with self.subTest(told), self.assertRaisesRegex(OptionError, told):
                Options().with_values({"overrides": tables}, "here")
        with self.assertRaisesRegex(OptionError, "overrides: invalid value 'x'; expected tables"):
            Options().with_values({"overrides": "x"}, "here")
