"""Fixtures in the scheduler: without these tests, one could be torn down while its tests run, or never."""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import CancelRequested, ChildExited, SlotGranted, SpawnFailed
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.settler import SPAWN_TRIES
from isolatedunit.model.events import Event, Warned
from isolatedunit.model.results import ExitStatus
from isolatedunit.protocol.messages import ChildReady, HandlesCleaned, OutcomeNoted, WorkFinished
from tests.support.scheduling import SAID, conclude, plan, reported, settle, take
from tests.support.start_methods import START_METHODS

NAMES = ("a.X.one", "a.X.two", "a.Y.one")


SET_UP = ["setUpModule (a)", "setUpClass (a.X)"]


def names(attempts: Sequence[Attempt]) -> list[str]:
    return [name for attempt in attempts for name in attempt.evidence.names]


def fail(attempt: Attempt, kind: str = "addError") -> None:
    """Let a fixture fail, or be skipped."""
    attempt.handle(SlotGranted(), 0.0)
    attempt.handle(ChildReady(**SAID), 0.0)
    attempt.handle(OutcomeNoted(**SAID, fixture=names([attempt])[0], kind=kind, text="bad", message="bad"), 0.0)
    attempt.handle(WorkFinished(**SAID, clean=True), 0.0)
    attempt.handle(ChildExited(ExitStatus(exit_code=0)), 0.0)


def lose(attempt: Attempt, **how: Any) -> None:
    """Let there be no process for it."""
    attempt.handle(SlotGranted(), 0.0)
    attempt.handle(SpawnFailed("on purpose", **how), 0.0)


def warnings(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Warned)]


@unittest.skipUnless("forkserver" in START_METHODS, "there are no templates here")
class FixtureScopesTest(unittest.TestCase):
    def make(self, *names: str, **options: Any) -> Scheduler:
        self.now = 0.0
        self.events: list[Event] = []
        values = {"fork_after": "fixtures", "start_method": "forkserver", **options}
        return Scheduler("run", plan(*(names or NAMES)), Options(**values))

    def next(self, schedule: Scheduler, *expected: str) -> list[Attempt]:
        """What begins now, which is to be this."""
        self.now += 100.0
        attempts = take(schedule, self.now)
        self.assertEqual(names(attempts), list(expected))
        return attempts

    def pass_(self, schedule: Scheduler, *attempts: Attempt) -> None:
        for attempt in attempts:
            conclude(attempt)
            self.events += settle(schedule, attempt)

    def run_all(self, schedule: Scheduler) -> list[str]:
        """Run all that is left, one after another; gives what that was."""
        found = []
        while schedule.has_more:
            self.now += 100.0
            attempt = schedule.next_attempt(self.now)
            if attempt is not None:
                found += names([attempt])
                self.pass_(schedule, attempt)
        return found

    def test_order(self) -> None:
        schedule = self.make()
        expected = [
            *SET_UP,
            "a.X.one",
            "a.X.two",
            "tearDownClass (a.X)",
            "setUpClass (a.Y)",
            "a.Y.one",
            "tearDownClass (a.Y)",
            "tearDownModule (a)",
        ]
        self.assertEqual(self.run_all(schedule), expected)
        self.assertEqual(schedule.report_missing(), [])

    def test_a_class_whose_tests_stand_apart_is_set_up_once(self) -> None:
        found = self.run_all(self.make("a.X.one", "a.Y.one", "a.X.two"))
        self.assertEqual(found.count("setUpClass (a.X)"), 1)
        self.assertLess(found.index("a.X.two"), found.index("tearDownClass (a.X)"))

    def test_groups_wait_for_what_they_share(self) -> None:
        schedule = self.make(parallel_by="class")
        self.pass_(schedule, *self.next(schedule, "setUpModule (a)"))
        both = self.next(schedule, "setUpClass (a.X)", "setUpClass (a.Y)")
        self.pass_(schedule, *both)
        x, y = self.next(schedule, "a.X.one", "a.Y.one")
        self.pass_(schedule, y)
        (end,) = self.next(schedule, "tearDownClass (a.Y)")
        self.pass_(schedule, end, x)
        self.pass_(schedule, *self.next(schedule, "a.X.two"))
        self.pass_(schedule, *self.next(schedule, "tearDownClass (a.X)"))
        self.pass_(schedule, *self.next(schedule, "tearDownModule (a)"))
        self.assertFalse(schedule.has_more)

    def test_tests_of_one_class_side_by_side(self) -> None:
        schedule = self.make(parallel_by="test")
        self.pass_(schedule, *self.next(schedule, "setUpModule (a)"))
        self.pass_(schedule, *self.next(schedule, "setUpClass (a.X)", "setUpClass (a.Y)"))
        one, two, other = self.next(schedule, "a.X.one", "a.X.two", "a.Y.one")
        self.pass_(schedule, one)
        self.next(schedule)
        self.pass_(schedule, two)
        self.next(schedule, "tearDownClass (a.X)")
        self.pass_(schedule, other)
        self.next(schedule, "tearDownClass (a.Y)")

    def test_where_children_begin(self) -> None:
        schedule = self.make()
        places = []
        while schedule.has_more:
            (attempt,) = take(schedule)
            place = schedule.place(attempt)
            places.append((place.fork_after, place.scope, place.becomes, place.ends_scope))
            self.pass_(schedule, attempt)
        self.assertEqual(
            places[:5],
            [
                ("fixtures", "", "scope-0", False),
                ("fixtures", "scope-0", "scope-1", False),
                ("fixtures", "scope-1", "", False),
                ("fixtures", "scope-1", "", False),
                ("fixtures", "scope-1", "", True),
            ],
        )

    def test_a_fixture_that_fails_or_skips_covers_its_tests(self) -> None:
        for kind, outcome in (("addError", "error"), ("addSkip", "skipped")):
            schedule = self.make()
            self.pass_(schedule, *self.next(schedule, "setUpModule (a)"))
            (attempt,) = self.next(schedule, "setUpClass (a.X)")
            fail(attempt, kind)
            self.assertEqual(reported(settle(schedule, attempt)), {"setUpClass (a.X)": outcome})
            rest = ["setUpClass (a.Y)", "a.Y.one", "tearDownClass (a.Y)", "tearDownModule (a)"]
            self.assertEqual(self.run_all(schedule), rest)
            self.assertEqual(schedule.report_missing(), [])

    def test_the_last_class_fails(self) -> None:
        schedule = self.make("a.X.one")
        self.pass_(schedule, *self.next(schedule, "setUpModule (a)"))
        (attempt,) = self.next(schedule, "setUpClass (a.X)")
        fail(attempt)
        settle(schedule, attempt)
        self.assertEqual(self.run_all(schedule), ["tearDownModule (a)"])

    def test_a_module_that_fails_covers_its_classes(self) -> None:
        schedule = self.make(*NAMES, "b.X.one", parallel_by="class")
        module, _ = self.next(schedule, "setUpModule (a)", "setUpModule (b)")
        fail(module)
        self.assertEqual(reported(settle(schedule, module)), {"setUpModule (a)": "error"})
        self.next(schedule)

    def test_a_retry_of_a_test_comes_before_the_end(self) -> None:
        schedule = self.make("a.X.one", retries=1)
        for fixture in SET_UP:
            self.pass_(schedule, *self.next(schedule, fixture))
        (attempt,) = self.next(schedule, "a.X.one")
        conclude(attempt, 0)
        settle(schedule, attempt)
        (again,) = self.next(schedule, "a.X.one")
        self.assertEqual((again.number, schedule.place(again).scope), (2, "scope-1"))
        conclude(again, 0)
        settle(schedule, again)
        self.next(schedule, "tearDownClass (a.X)")

    def test_a_fixture_is_tried_again(self) -> None:
        schedule = self.make("a.X.one", retries=1)
        (attempt,) = self.next(schedule, "setUpModule (a)")
        fail(attempt)
        self.assertEqual(reported(settle(schedule, attempt)), {})
        (again,) = self.next(schedule, "setUpModule (a)")
        self.assertEqual(again.number, 2)
        fail(again)
        (report,) = (event.report for event in settle(schedule, again) if hasattr(event, "report"))
        self.assertEqual((report.outcome, len(report.attempts)), ("error", 2))
        self.next(schedule)
        self.assertFalse(schedule.has_more)

    def test_what_nothing_can_be_forked_from(self) -> None:
        for fixture, place in (("setUpClass (a.X)", "scope-0"), ("setUpModule (a)", "")):
            schedule = self.make()
            (attempt,) = self.next(schedule, "setUpModule (a)")
            if fixture.startswith("setUpClass"):
                self.pass_(schedule, attempt)
                (attempt,) = self.next(schedule, fixture)
            attempt.handle(SlotGranted(), 0.0)
            attempt.handle(ChildReady(**SAID), 0.0)
            attempt.handle(WorkFinished(**SAID, clean=True, unsafe="a thread running"), 0.0)
            attempt.handle(ChildExited(ExitStatus(exit_code=0)), 0.0)
            (text,) = warnings(settle(schedule, attempt))
            self.assertIn(f"{fixture} left a thread running; no test can be forked from that", text)
            (test,) = self.next(schedule, "a.X.one")
            self.assertEqual((schedule.place(test).fork_after, schedule.place(test).scope), ("import", place))
            self.pass_(schedule, test)
            rest = self.run_all(schedule)
            self.assertEqual(rest[0], "a.X.two")
            self.assertEqual(rest[-1], "tearDownModule (a)" if place else "a.Y.one")

    def test_no_process_for_a_fixture(self) -> None:
        schedule = self.make("a.X.one")
        for number in range(SPAWN_TRIES):
            (attempt,) = self.next(schedule, "setUpModule (a)")
            lose(attempt)
            told = warnings(settle(schedule, attempt))
            self.assertEqual(len(told), int(number == SPAWN_TRIES - 1))
        self.assertIn("could not be run (3 tries): on purpose", told[0])
        self.assertEqual(self.run_all(schedule), ["a.X.one"])

    def test_a_stage_that_is_lost_is_set_up_again_and_told_once(self) -> None:
        schedule = self.make()
        for fixture in SET_UP:
            self.pass_(schedule, *self.next(schedule, fixture))
        told = []
        for test in ("a.X.one", "a.X.two"):
            (attempt,) = self.next(schedule, test)
            lose(attempt, fixtures_lost=True)
            told += warnings(settle(schedule, attempt))
            self.pass_(schedule, *self.next(schedule, "setUpClass (a.X)"))
            self.pass_(schedule, *self.next(schedule, test))
        self.assertEqual(len(told), 1)
        (end,) = self.next(schedule, "tearDownClass (a.X)")
        lose(end, fixtures_lost=True)
        self.assertEqual(reported(settle(schedule, end)), {"tearDownClass (a.X)": "error"})
        # and now the module's, when the next class needs it
        (attempt,) = self.next(schedule, "setUpClass (a.Y)")
        lose(attempt, fixtures_lost=True)
        self.assertIn("setUpModule (a) ended", warnings(settle(schedule, attempt))[0])
        rest = [
            "setUpModule (a)",
            "setUpClass (a.Y)",
            "a.Y.one",
            "tearDownClass (a.Y)",
            "tearDownModule (a)",
        ]
        self.assertEqual(self.run_all(schedule), rest)

    def test_losing_stages_does_not_use_up_the_budget_for_spawns(self) -> None:
        schedule = self.make(*(f"a.X.test_{number}" for number in range(50)))
        for fixture in SET_UP:
            self.pass_(schedule, *self.next(schedule, fixture))
        for number in range(50):
            (attempt,) = self.next(schedule, f"a.X.test_{number}")
            lose(attempt, fixtures_lost=True)
            self.assertEqual(reported(settle(schedule, attempt)), {})
            self.pass_(schedule, *self.next(schedule, "setUpClass (a.X)"))
            self.pass_(schedule, *self.next(schedule, f"a.X.test_{number}"))

    def test_cancelled_while_a_test_runs(self) -> None:
        schedule = self.make(*NAMES, "b.X.one")
        for _ in range(2):
            self.pass_(schedule, *take(schedule))
        one, other = self.next(schedule, "a.X.one", "b.X.one")
        schedule.cancel()
        schedule.in_haste = True
        self.next(schedule)
        self.pass_(schedule, one)
        (end,) = self.next(schedule, "tearDownClass (a.X)")
        self.assertEqual(end.options.process_timeout, end.options.terminate_grace)
        self.pass_(schedule, end, other)
        self.pass_(schedule, *self.next(schedule, "tearDownModule (a)", "tearDownClass (b.X)"))
        self.pass_(schedule, *self.next(schedule, "tearDownModule (b)"))
        self.assertFalse(schedule.has_more)

    def test_cancelled_between_tests(self) -> None:
        schedule = self.make()
        for fixture in SET_UP:
            self.pass_(schedule, *self.next(schedule, fixture))
        schedule.cancel()
        self.assertEqual(self.run_all(schedule), ["tearDownClass (a.X)", "tearDownModule (a)"])

    def test_cancelled_in_a_fixture(self) -> None:
        schedule = self.make()
        self.pass_(schedule, *self.next(schedule, "setUpModule (a)"))
        (attempt,) = self.next(schedule, "setUpClass (a.X)")
        schedule.cancel()
        for stimulus in (SlotGranted(), CancelRequested(), ChildExited(ExitStatus())):
            attempt.handle(stimulus, 0.0)
        settle(schedule, attempt)
        self.assertEqual(self.run_all(schedule), ["tearDownModule (a)"])

    def test_cancelled_while_a_fixture_waits_to_be_tried_again(self) -> None:
        schedule = self.make()
        self.pass_(schedule, *self.next(schedule, "setUpModule (a)"))
        (attempt,) = self.next(schedule, "setUpClass (a.X)")
        lose(attempt)
        settle(schedule, attempt)
        schedule.cancel()
        self.assertEqual(self.run_all(schedule), ["tearDownModule (a)"])

    def test_given_up(self) -> None:
        schedule = self.make()
        for fixture in SET_UP:
            self.pass_(schedule, *self.next(schedule, fixture))
        (test,) = self.next(schedule, "a.X.one")
        schedule.cancel()
        schedule.give_up()
        self.pass_(schedule, test)
        self.assertFalse(schedule.has_more)

    def test_leaks_of_fixtures(self) -> None:
        for policy, outcomes, told in (("fail", {"tearDownClass (a.X)": "failed"}, 0), ("warn", {}, 1)):
            schedule = self.make("a.X.one", leaks=policy)
            for name in (*SET_UP, "a.X.one"):
                self.pass_(schedule, *self.next(schedule, name))
            (end,) = self.next(schedule, "tearDownClass (a.X)")
            end.handle(SlotGranted(), 0.0)
            end.handle(ChildReady(**SAID), 0.0)
            end.handle(WorkFinished(**SAID), 0.0)
            leaks = [{"kind": "thread", "identity": "left"}]
            stats = {"leaked": 1, "by_kind": {"thread": 1}, "leaks": leaks}
            end.handle(HandlesCleaned(**SAID, handle_stats=stats), 0.0)
            end.handle(ChildExited(ExitStatus(exit_code=0)), 0.0)
            events = settle(schedule, end)
            self.assertEqual((reported(events), len(warnings(events))), (outcomes, told))

    def test_who_has_no_stage(self) -> None:
        for options in (
            {"isolation": "class"},
            {"start_method": "spawn"},
            {"fork_after": "import"},
            {"hunt_leaks": 3},
        ):
            self.assertNotIn("setUpModule (a)", self.run_all(self.make(**options)))
        functions = [replace(test, address={"function": "x"}) for test in plan("a.X.one")]
        schedule = Scheduler("run", functions, Options(fork_after="fixtures", start_method="forkserver"))
        self.next(schedule, "a.X.one")
