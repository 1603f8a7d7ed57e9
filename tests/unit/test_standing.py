"""Classes with isolation=auto: without these tests, dependent tests could share a process, or have a wrong verdict."""

from __future__ import annotations

import itertools
import unittest
from collections.abc import Mapping
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import ChildExited, SlotGranted, SpawnFailed
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.standing import (
    MOST_TRIALS,
    Standings,
    Together,
    Trouble,
    Way,
    find_trouble,
    key_of,
)
from isolatedunit.model.events import Event, Warned
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.past import RUNS_TO_SHOW, ClassKey, ClassPast
from isolatedunit.model.results import ExitStatus, PlannedTest, TestReport
from isolatedunit.protocol.messages import ChildReady, OutcomeNoted, TestEnded, TestStarted, WorkFinished
from tests.support.scheduling import SAID, plan, settle, take

NAMES = ("m.C.a", "m.C.b", "m.C.c")
TESTS = plan(*NAMES)
KEY = key_of(TESTS[0])
GOOD = dict.fromkeys(NAMES, "passed")
SHOWN = ClassPast(GOOD, RUNS_TO_SHOW, sources=("m.py",))
ALL_PASSED = Together(("passed",) * 3, sources=("m.py",))
AUTO = Options(isolation="auto")


def unchecked(past: ClassPast = SHOWN) -> Standings:
    """Standings with a seed that does not choose the class to run alone."""
    for seed in range(100):
        standings = planned({KEY: past}, seed=seed)
        if standings.shares(TESTS[0]):
            return standings
    raise AssertionError("the class is checked with every seed")


def checked() -> Standings:
    for seed in range(1000):
        standings = planned({KEY: SHOWN}, seed=seed)
        if not standings.shares(TESTS[0]):
            return standings
    raise AssertionError("the class is checked with no seed")


def planned(
    past: Mapping[ClassKey, ClassPast], tests: list[PlannedTest] = TESTS, options: Options = AUTO, seed: int = 0
) -> Standings:
    standings = Standings(past, seed)
    standings.plan(tests, lambda _: options)
    return standings


class TroubleTest(unittest.TestCase):
    def check(self, together: Together, expected: Trouble | None) -> None:
        self.assertEqual(find_trouble(TESTS, GOOD, together), expected)

    def test_what_came_of_the_tests_decides(self) -> None:
        self.check(ALL_PASSED, None)
        self.check(
            Together(("passed", "failed")), Trouble(1, "m.C.b: failed together with others, passed alone", "failed")
        )
        self.check(
            Together(("passed", "skipped", "passed")),
            Trouble(1, "m.C.b: skipped together with others, passed alone", "skipped"),
        )
        self.check(Together(("passed",)), Trouble(1, "m.C.b did not run together with others"))
        self.check(Together(("passed",), dirty="a thread running"), Trouble(1, "m.C.a left a thread running"))
        self.check(Together(("passed",) * 3, dirty="x"), Trouble(3, "m.C.c left x"))
        self.check(Together(("passed",) * 3, spoiled="setUpClass failed"), Trouble(0, "setUpClass failed"))

    def test_what_fails_both_ways_is_no_trouble(self) -> None:
        expected = {**GOOD, "m.C.b": "failed"}
        self.assertIsNone(find_trouble(TESTS, expected, Together(("passed", "failed"))))

    def test_only_expected_verdicts_come_before_the_trouble(self) -> None:
        for verdicts in itertools.product(("passed", "skipped", "failed", "crash"), repeat=3):
            for count, dirty in itertools.product(range(4), ("", "x")):
                trouble = find_trouble(TESTS, GOOD, Together(verdicts[:count], dirty=dirty))
                done = len(TESTS) if trouble is None else trouble.place
                self.assertEqual(verdicts[:done], ("passed",) * done)


class CourseTest(unittest.TestCase):
    """The way of one class through a run."""

    def run_alone(self, standings: Standings, **verdicts: str) -> list[PlannedTest]:
        orders = [standings.note_alone(test, verdicts.get(test.name[-1], "passed")) for test in TESTS]
        self.assertEqual(orders[:-1], [[], []])
        return orders[-1]

    def test_standing_takes_three_trials_one_of_them_reversed(self) -> None:
        standings = planned({})
        self.assertFalse(standings.shares(TESTS[0]))
        first = self.run_alone(standings)
        self.assertEqual(first, TESTS)
        second = standings.note_trial(first, ALL_PASSED)
        self.assertEqual(second, TESTS[::-1])
        self.assertEqual(standings.learned, {})
        third = standings.note_trial(second, ALL_PASSED)
        self.assertCountEqual(third, TESTS)
        self.assertEqual(standings.note_trial(third, ALL_PASSED), [])
        self.assertEqual(standings.learned, {KEY: ClassPast(GOOD, 3, sources=("m.py",))})
        self.assertTrue(unchecked(standings.learned[KEY]).shares(TESTS[0]))

    def test_a_difference_in_a_trial_is_kept(self) -> None:
        for together in (
            Together(("passed", "failed"), sources=("m.py",)),
            Together(("passed",), dirty="x", sources=("m.py",)),
        ):
            standings = planned({})
            order = self.run_alone(standings)
            self.assertEqual(standings.note_trial(order, together), [])
            learned = standings.learned[KEY]
            self.assertTrue(learned.refused and learned.reason)
            self.assertEqual(standings.warnings, [])  # nothing was lost
            again = planned({KEY: learned})
            self.assertEqual(self.run_alone(again), [])
            self.assertEqual(again.learned, {})

    def test_what_tests_import_is_imported_before_the_trials_that_count(self) -> None:
        standings = planned({})
        order = self.run_alone(standings)
        self.assertEqual(standings.imports_of(TESTS[0]), [])
        late = Together(("passed",), dirty="the module x imported", sources=("m.py", "x.py"), late=("x",))
        order = standings.note_trial(order, late)
        self.assertEqual((order, standings.imports_of(TESTS[0])), (TESTS, ["x"]))
        for expected in (TESTS[::-1], None, []):
            order = standings.note_trial(order, ALL_PASSED)
            if expected is not None:
                self.assertEqual(order, expected)
        self.assertEqual(standings.learned[KEY], ClassPast(GOOD, 3, sources=("m.py", "x.py"), imports=("x",)))
        self.assertEqual(unchecked(standings.learned[KEY]).imports_of(TESTS[0]), ["x"])

    def test_a_module_that_is_imported_by_and_by_ends_the_trials(self) -> None:
        standings = planned({})
        order = self.run_alone(standings)
        for turn in range(MOST_TRIALS):
            self.assertEqual(order, TESTS)
            order = standings.note_trial(order, Together(("passed",), dirty="x", late=(f"x{turn}",), sources=("m.py",)))
        self.assertEqual(order, [])
        self.assertTrue(standings.learned[KEY].refused)

    def test_a_class_with_a_test_that_fails_alone_is_not_tried(self) -> None:
        for verdict in ("failed", "crash", "leak", "flaky"):
            standings = planned({})
            self.assertEqual(self.run_alone(standings, b=verdict), [])
            learned = standings.learned[KEY]
            self.assertEqual((learned.reason, learned.refused), (f"m.C.b: {verdict} alone", False))
            self.assertEqual(planned({KEY: learned})._courses[KEY].way, Way.OPEN)

    def test_a_class_that_did_as_expected_keeps_its_standing(self) -> None:
        standings = unchecked()
        self.assertEqual(standings.judge(TESTS, ALL_PASSED), 3)
        self.assertEqual(standings.learned[KEY].shared, 1)
        self.assertTrue(standings.learned[KEY].has_standing)

    def test_what_the_process_was_left_in_costs_the_standing(self) -> None:
        standings = unchecked()
        self.assertEqual(standings.judge(TESTS, Together(("passed",), dirty="x", sources=("m.py",))), 1)
        self.assertFalse(standings.shares(TESTS[0]))
        self.assertTrue(standings.learned[KEY].refused)
        self.assertRegex(standings.warnings[0], "m.C share no process any more.*m.C.a left x")

    def test_a_failure_that_is_none_alone_is_a_dependence(self) -> None:
        standings = unchecked()
        self.assertEqual(standings.judge(TESTS, Together(("passed", "failed"), sources=("m.py",))), 1)
        self.assertEqual(standings.learned, {})  # it is not known yet
        self.assertEqual(standings.note_alone(TESTS[1], "passed"), [])
        self.assertTrue(standings.learned[KEY].refused)
        self.assertRegex(standings.warnings[0], "m.C.b: failed together with others, passed alone")

    def test_a_failure_alone_as_well_is_no_dependence(self) -> None:
        standings = unchecked()
        standings.judge(TESTS, Together(("passed", "failed"), sources=("m.py",)))
        self.assertFalse(standings.shares(TESTS[2]))
        standings.note_alone(TESTS[1], "failed")
        self.assertEqual((standings.learned, standings.warnings), ({}, []))

    def test_a_test_that_is_skipped_now_is_expected_to_be(self) -> None:
        standings = unchecked()
        standings.judge(TESTS, Together(("passed", "skipped", "passed"), sources=("m.py",)))
        standings.note_alone(TESTS[1], "skipped")
        self.assertEqual(standings.learned[KEY].verdicts["m.C.b"], "skipped")
        self.assertTrue(standings.learned[KEY].has_standing)

    def test_a_file_that_was_not_loaded_before_ends_the_evidence(self) -> None:
        standings = unchecked()
        self.assertEqual(standings.judge(TESTS, Together(("passed",) * 3, sources=("m.py", "new.py"))), 0)
        self.assertFalse(standings.shares(TESTS[0]))
        self.assertEqual(standings.learned[KEY], ClassPast({}, reason="new.py is loaded now, and was not before"))

    def test_a_check_tries_once_and_reports_a_dependence(self) -> None:
        standings = checked()
        order = self.run_alone(standings, b="failed")
        self.assertEqual(order, TESTS)
        self.assertEqual(standings.note_trial(order, ALL_PASSED), [])
        self.assertTrue(standings.learned[KEY].refused)
        self.assertRegex(standings.warnings[0], "m.C.b: passed together with others, failed alone")

    def test_a_check_that_finds_nothing_changes_nothing(self) -> None:
        for verdict, together in (("passed", ALL_PASSED), ("failed", Together(("passed", "failed")))):
            standings = checked()
            order = self.run_alone(standings, b=verdict)
            self.assertEqual(standings.note_trial(order, together), [])
            self.assertTrue(standings.learned[KEY].has_standing)
            self.assertEqual(standings.warnings, [])

    def test_one_class_in_twenty_is_checked_and_not_the_same_each_time(self) -> None:
        tests = [test for n in range(1000) for test in plan(f"m.C{n}.a", f"m.C{n}.b")]
        tests = [PlannedTest(n, one.id, one.name, None, one.class_id, "m") for n, one in enumerate(tests)]
        chosen = []
        for shared in range(2):
            past = {
                key_of(one): ClassPast({one.id: "passed", other.id: "passed"}, 3, shared=shared)
                for one, other in zip(tests[::2], tests[1::2], strict=True)
            }
            standings = planned(past, tests)
            chosen.append({test.class_id for test in tests if not standings.shares(test)})
            self.assertTrue(30 <= len(chosen[-1]) <= 75, len(chosen[-1]))
        self.assertNotEqual(*chosen)

    def test_who_may_not_share(self) -> None:
        for options in (
            Options(isolation="class"),
            Options(isolation="auto", memory_limit=2**20),
            Options(isolation="auto", cpu_limit=3.0),
            Options(isolation="auto", hunt_leaks=2),
            Options(isolation="auto", fork_after="fixtures"),
            Options(isolation="auto", enable_ipc=False),
        ):
            self.assertFalse(any(map(planned({KEY: SHOWN}, options=options).shares, TESTS)), options)
        for tests in (plan("m.C.a"), plan(*NAMES, occurrence=1), plan(*NAMES, address={"function": {}})):
            self.assertFalse(any(map(planned({key_of(tests[0]): SHOWN}, tests).shares, tests)), tests)

    def test_a_new_test_ends_the_evidence(self) -> None:
        self.assertFalse(planned({KEY: ClassPast({"m.C.a": "passed", "m.C.b": "passed"}, 3)}).shares(TESTS[0]))


def play(attempt: Attempt, *, dirty: str | None = None, after: int | None = None, **verdicts: str) -> None:
    """Let the attempt's process run its tests, as a real one does: it stops at the first failure, or when it is dirty.

    *verdicts* are by the last letter of a test's name; ``crash`` ends the process. It is *dirty* after the test at the
    place *after*.
    """
    attempt.handle(SlotGranted(), 0.0)
    attempt.handle(ChildReady(**SAID), 0.0)
    shares = attempt.options.isolation == "auto"
    stopped = False
    for place, test in enumerate(attempt.tests):
        verdict = verdicts.get(test.id[-1], "passed")
        attempt.handle(TestStarted(**SAID, test=place), 0.0)
        if verdict == "crash":
            attempt.handle(ChildExited(ExitStatus(signal="SIGSEGV")), 0.0)
            return
        if verdict != "passed":
            kind = {"failed": "addFailure", "skipped": "addSkip"}[verdict]
            attempt.handle(OutcomeNoted(**SAID, test=place, kind=kind, text="x", message="x"), 0.0)
        passed = verdict == "passed"
        attempt.handle(TestEnded(**SAID, test=place, duration=0.1, counted=True, succeeded=passed), 0.0)
        stopped = shares and (verdict == "failed" or (dirty is not None and place == after))
        if stopped:
            break
    process: dict[str, Any] = {"dirty": dirty, "files": ["m.py"]} if shares else {}
    attempt.handle(WorkFinished(**SAID, stopped=stopped, clean=True, **process), 0.0)
    attempt.handle(ChildExited(ExitStatus(exit_code=0)), 0.0)


class SchedulerTest(unittest.TestCase):
    def drain(self, schedule: Scheduler, **played: Any) -> tuple[list[str], dict[str, TestReport], list[Event]]:
        """Run all that the scheduler hands out: the names of the tests in each process, and what was reported.

        Shared processes do what *played* says; in one of its own each test passes unless *alone* says otherwise.
        """
        alone = played.pop("alone", {})
        began, events = [], list[Event]()
        while schedule.has_more:
            for attempt in take(schedule):
                shares = attempt.options.isolation == "auto"
                began.append("".join(test.id[-1] for test in attempt.tests) if shares else attempt.tests[0].id[-1])
                play(attempt, **(played if shares else alone))
                events += settle(schedule, attempt)
        reports = [event.report for event in events if isinstance(event, Finished)]
        self.assertCountEqual([report.id for report in reports], NAMES)  # each once
        return began, {report.id[-1]: report for report in reports}, events

    def scheduler(self, standings: Standings, **options: Any) -> Scheduler:
        return Scheduler("run", TESTS, Options(isolation="auto", **options), standings=standings)

    def test_without_evidence_each_runs_alone_and_then_all_together(self) -> None:
        standings = Standings({}, 0)
        began, reports, _ = self.drain(self.scheduler(standings))
        self.assertEqual(began[:5], ["a", "b", "c", "abc", "cba"])
        self.assertEqual(len(began), 6)
        self.assertEqual({report.isolation for report in reports.values()}, {"test"})
        self.assertTrue(standings.learned[KEY].has_standing)

    def test_without_standings_each_runs_alone(self) -> None:
        began, _, _ = self.drain(Scheduler("run", TESTS, Options(isolation="auto")))
        self.assertEqual(began, ["a", "b", "c"])

    def test_with_standing_they_share_a_process(self) -> None:
        began, reports, _ = self.drain(self.scheduler(unchecked()))
        self.assertEqual(began, ["abc"])
        self.assertEqual({report.isolation for report in reports.values()}, {"class"})

    def test_a_bad_verdict_is_never_final(self) -> None:
        for verdict, cause in (("failed", None), ("crash", "crash")):
            began, reports, _ = self.drain(self.scheduler(unchecked(), retries=1, flaky="fail"), b=verdict)
            self.assertEqual(began, ["abc", "b", "c"])
            self.assertEqual({report.outcome for report in reports.values()}, {"passed"})
            found = [(one.isolation, one.outcome != "passed", one.cause) for one in reports["b"].attempts]
            self.assertEqual(found, [("class", True, cause), ("test", False, None)])
            self.assertEqual([one.isolation for one in reports["c"].attempts], ["test"])
            self.assertFalse(reports["b"].flaky)

    def test_what_fails_alone_as_well_is_reported_from_there_with_all_its_retries(self) -> None:
        alone = {"b": "failed"}
        began, reports, _ = self.drain(self.scheduler(unchecked(), retries=1), b="failed", alone=alone)
        self.assertEqual(began, ["abc", "b", "b", "c"])
        self.assertEqual([one.isolation for one in reports["b"].attempts], ["class", "test", "test"])
        self.assertEqual(reports["b"].outcome, "failed")

    def test_what_comes_after_something_that_was_left_runs_alone(self) -> None:
        standings = unchecked()
        began, reports, events = self.drain(self.scheduler(standings), dirty="a thread running", after=0)
        self.assertEqual(began, ["abc", "b", "c"])
        self.assertEqual([reports[name].isolation for name in "abc"], ["class", "test", "test"])
        self.assertEqual(len([event for event in events if isinstance(event, Warned)]), 1)
        self.assertTrue(standings.learned[KEY].refused)

    def test_a_process_that_cannot_be_started_is_no_verdict(self) -> None:
        standings = unchecked()
        schedule = self.scheduler(standings)
        (attempt,) = take(schedule)
        attempt.handle(SlotGranted(), 0.0)
        attempt.handle(SpawnFailed("no memory"), 0.0)
        settle(schedule, attempt)
        began, reports, _ = self.drain(schedule)
        self.assertEqual(began, ["a", "b", "c"])
        self.assertEqual({report.outcome for report in reports.values()}, {"passed"})
        self.assertEqual(standings.learned, {})

    def test_a_run_that_is_cancelled_reports_no_failure_of_a_shared_process(self) -> None:
        schedule = self.scheduler(unchecked())
        (attempt,) = take(schedule)
        play(attempt, b="failed")
        schedule.cancel()
        events = settle(schedule, attempt)
        reports = [event.report for event in events if isinstance(event, Finished)]
        self.assertEqual([(report.id, report.outcome) for report in reports], [("m.C.a", "passed")])
        self.assertEqual([test.id for test in schedule.not_run], ["m.C.b", "m.C.c"])

    def test_every_verdict_is_one_from_alone_or_the_expected_one(self) -> None:
        kinds = ("passed", "skipped", "failed", "crash")
        for together in itertools.product(kinds, repeat=3):
            for after, alone in itertools.product((None, 0, 1, 2), ("passed", "failed")):
                played: dict[str, Any] = dict(zip("abc", together, strict=True))
                if after is not None:
                    played.update(dirty="x", after=after)
                schedule = self.scheduler(unchecked())
                _, reports, _ = self.drain(schedule, alone=dict.fromkeys("abc", alone), **played)
                for report in reports.values():
                    expected = alone if report.isolation == "test" else "passed"
                    self.assertEqual(report.outcome, expected, (together, after, alone))
