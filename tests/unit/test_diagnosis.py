"""The diagnosis of timeouts: without these tests, a busy machine could be blamed on a test, or a deadlock on it."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit.engine.attempt.diagnosis import LOOK_INTERVAL, Look, diagnose, join_stacks
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import (
    Action,
    Announce,
    DeadlinePassed,
    DumpStacks,
    Examine,
    Examined,
    SlotGranted,
)
from isolatedunit.model.events import Warned
from isolatedunit.model.usage import Condition
from tests.support.attempts import EXITED, READY, drive, finished, make, started


def looks(
    main: float, everything: float | None = None, waited: float | None = 0.0, state: str = "running"
) -> list[Look]:
    """Two looks a second apart, between which so much CPU was used and so long was waited for one."""
    everything = main if everything is None else everything
    after = None if waited is None else 5.0 + waited
    return [
        Look(100.0, Condition("running", 1.0, 1.0, None if waited is None else 5.0)),
        Look(101.0, Condition(state, 1.0 + main, 1.0 + everything, after)),
    ]


class DiagnoseTest(unittest.TestCase):
    def test_blocked(self) -> None:
        self.assertEqual(
            diagnose(looks(0.0, state="sleeping"), 0.0, 1.0), "Its main thread was blocked: it used no CPU time."
        )
        self.assertIn("stopped (by SIGSTOP", diagnose(looks(0.0, state="stopped"), 0.0, 1.0))
        self.assertIn("waiting in the kernel", diagnose(looks(0.0, state="disk-sleep"), 0.0, 1.0))
        self.assertIn("while other threads used 90% of a processor", diagnose(looks(0.0, 0.9), 9.0, 1.0))

    def test_to_look_at_what_was_stopped_wakes_it_up(self) -> None:
        for state in ("stopped", "tracing-stop"):
            for after in ([], looks(1.3, waited=0.0), looks(0.0, 0.9, state="zombie"), looks(0.0)):
                first = Look(99.0, Condition(state, 1.0, 1.0, 5.0))
                self.assertRegex(diagnose([first, *after], 9.0, 1.0), r"^Its main thread was blocked: it was stopped")

    def test_busy(self) -> None:
        self.assertEqual(diagnose(looks(0.98), 1.0, 1.0), "It was busy: its main thread used 98% of a processor.")
        self.assertRegex(
            diagnose(looks(0.98), 4.0, 1.0), "held the interpreter's lock .* no heartbeat arrived for 4.0 s"
        )
        self.assertIn("It was busy", diagnose(looks(0.98, waited=None), 1.0, 1.0))

    def test_starved(self) -> None:
        told = diagnose(looks(0.2, waited=0.8), 9.0, 1.0)
        self.assertEqual(
            told, "The machine was overloaded: the test's main thread waited for a processor 80% of the time."
        )

    def test_a_blocked_test_on_an_overloaded_machine(self) -> None:
        first, last = looks(0.0, state="sleeping")
        told = diagnose([Look(first.at, first.condition, 19.6), last], 0.0, 1.0)
        blocked = "Its main thread was blocked: it used no CPU time."
        self.assertEqual(told, f"{blocked} The machine was overloaded: for each processor, 20 processes wanted to run.")
        self.assertEqual(diagnose([Look(first.at, first.condition, 3.9), last], 0.0, 1.0), blocked)

    def test_too_little_is_known(self) -> None:
        self.assertEqual(diagnose([], 0.0, 1.0), "")
        self.assertEqual(diagnose(looks(1.0)[:1], 0.0, 1.0), "")

    def test_stacks(self) -> None:
        self.assertEqual(join_stacks(["a\n", "a\n", "a\n"]), "a\n(The same stacks 3 times, within 0.45 s.)\n")
        self.assertEqual(join_stacks(["a\n", "b\n"]), "Sample 1 of 2:\na\n\nSample 2 of 2:\nb\n")
        self.assertEqual(join_stacks(["", "a\n"]), "a\n")
        self.assertEqual(join_stacks([]), "")


class ProlongTest(unittest.TestCase):
    """The time limit of a test counts the seconds in which it ran or slept, and none in which it wanted to run."""

    def running(self, tests: int = 1) -> Attempt:
        attempt = make(tests, process_timeout=10.0, heartbeat_interval=1000.0, slow_after=None)
        drive(attempt, SlotGranted(), READY, started(), step=0.0)
        return attempt

    def look(self, attempt: Attempt, now: float, waited: float, *, below: float = 0.0, **more: Any) -> list[Action]:
        """The deadline passes *now*, by when the test *waited* for so long."""
        self.assertEqual((attempt.deadline, attempt.handle(DeadlinePassed(), now)), (now, [Examine()]))
        condition = Condition(more.get("state", "running"), more.get("cpu", 1.0), 1.0, waited, below)
        return attempt.handle(Examined(condition, more.get("load", 1.0)), now)

    def text_of(self, attempt: Attempt) -> str:
        drive(attempt, EXITED, at=attempt.deadline)
        return attempt.evidence.cause_text

    def test_what_waits_for_a_processor_gets_that_time_in_addition(self) -> None:
        attempt = self.running()
        (action,) = self.look(attempt, 10.0, 8.0)
        assert isinstance(action, Announce) and isinstance(action.event, Warned)
        self.assertIn("waited 8.0 of 10.0 s for a processor", action.event.text)
        self.assertEqual(self.look(attempt, 18.0, 14.0), [])  # which is announced once
        self.assertEqual(self.look(attempt, 24.0, 14.2), [DumpStacks()])
        self.assertIn("within 10 s, besides 14.2 s in which it waited for a processor.", self.text_of(attempt))

    def test_for_as_long_as_it_takes_and_no_longer(self) -> None:
        attempt, looks, now = self.running(), 0, 10.0
        while self.look(attempt, now, now * 39 / 40) != [DumpStacks()]:
            now, looks = attempt.deadline, looks + 1
        self.assertGreaterEqual(now, 0.95 * 400.0)
        self.assertLess(looks, 200)
        attempt, now = self.running(), 10.0
        while self.look(attempt, now, now) != [DumpStacks()]:  # it never ran at all
            now = attempt.deadline
        self.assertEqual(now, 1000.0)

    def test_what_sleeps_or_runs_gets_none(self) -> None:
        for told in ({"state": "sleeping", "load": 40.0}, {"state": "disk-sleep", "load": 40.0}, {"load": 1.0}):
            attempt = self.running()
            self.assertEqual(self.look(attempt, 10.0, 0.4, **told), [DumpStacks()])
            self.assertIn("within 10 s. ", f"{self.text_of(attempt)} ")
        attempt = self.running()
        attempt.handle(DeadlinePassed(), 10.0)
        self.assertEqual(attempt.handle(Examined(None, 40.0), 10.0), [DumpStacks()])

    def test_a_wait_that_is_not_over_is_not_counted_yet(self) -> None:
        attempt, now = self.running(), 10.0
        for _ in range(5):  # ready to run, and neither does it run, nor was its wait counted
            self.assertEqual(self.look(attempt, now, 0.0, load=9.0), [])
            now += LOOK_INTERVAL
        (action,) = self.look(attempt, now, 9.0, load=9.0)
        self.assertIsInstance(action, Announce)
        attempt = self.running()
        self.assertEqual(self.look(attempt, 10.0, 0.0, load=9.0), [])
        self.assertEqual(self.look(attempt, 10.0 + LOOK_INTERVAL, 0.0, cpu=1.1, load=9.0), [DumpStacks()])

    def test_what_its_processes_waited_counts_too(self) -> None:
        attempt = self.running()
        self.assertEqual(len(self.look(attempt, 10.0, 0.1, below=70.0, state="sleeping")), 1)
        self.assertEqual(attempt.deadline, 20.0)

    def test_what_others_in_its_process_waited_does_not(self) -> None:
        attempt = self.running(tests=2)
        drive(attempt, finished(), started(1), at=90.0, step=0.0)
        self.assertEqual(len(self.look(attempt, 100.0, 80.0)), 1)
        self.assertEqual(attempt.deadline, 108.0)  # so much it waited if it fared like those before
        self.assertEqual(self.look(attempt, 108.0, 80.0), [DumpStacks()])
