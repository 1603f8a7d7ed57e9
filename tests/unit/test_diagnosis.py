"""The diagnosis of timeouts: without these tests, a busy machine could be blamed on a test, or a deadlock on it."""

from __future__ import annotations

import unittest

from isolatedunit.engine.attempt.diagnosis import Look, diagnose, join_stacks, owed
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import Announce, DeadlinePassed, DumpStacks, Examine, Examined, SlotGranted
from isolatedunit.model.events import Warned
from isolatedunit.model.usage import Condition
from tests.support.attempts import READY, drive, make, started


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

    def test_what_a_test_is_owed(self) -> None:
        self.assertEqual(owed(Condition("running", 1.0, 1.0, 6.0), 10.0), 6.0)
        self.assertEqual(owed(Condition("running", 1.0, 1.0, 4.0), 10.0), 0.0)
        self.assertEqual(owed(Condition("running", 1.0, 1.0, None), 10.0), 0.0)
        self.assertEqual(owed(None, 10.0), 0.0)
        # its processes waited, and it for them
        self.assertEqual(owed(Condition("sleeping", 0.1, 0.1, None, 7.0), 10.0), 7.0)
        self.assertEqual(owed(Condition("sleeping", 0.1, 0.1, 0.5, 70.0), 10.0), 10.0)

    def test_stacks(self) -> None:
        self.assertEqual(join_stacks(["a\n", "a\n", "a\n"]), "a\n(The same stacks 3 times, within 0.45 s.)\n")
        self.assertEqual(join_stacks(["a\n", "b\n"]), "Sample 1 of 2:\na\n\nSample 2 of 2:\nb\n")
        self.assertEqual(join_stacks(["", "a\n"]), "a\n")
        self.assertEqual(join_stacks([]), "")


class StretchTest(unittest.TestCase):
    STARVED = Condition("running", 2.0, 2.0, 8.0)

    def running(self) -> Attempt:
        attempt = make(process_timeout=10.0, heartbeat_interval=1000.0, slow_after=None)
        drive(attempt, SlotGranted(), READY, started(), step=0.0)
        return attempt

    def test_a_starved_test_gets_its_time_in_addition(self) -> None:
        attempt = self.running()
        self.assertEqual(attempt.handle(DeadlinePassed(), 10.0), [Examine()])
        (action,) = attempt.handle(Examined(self.STARVED), 10.0)
        assert isinstance(action, Announce) and isinstance(action.event, Warned)
        self.assertIn("waited 8.0 of 10.0 s for a processor", action.event.text)
        self.assertEqual(attempt.deadline, 18.0)
        attempt.handle(DeadlinePassed(), 18.0)
        self.assertEqual(attempt.handle(Examined(self.STARVED), 18.0), [DumpStacks()])

    def test_as_long_as_it_starves_up_to_three_times(self) -> None:
        attempt = self.running()
        for passed, given in ((10.0, 9.0), (19.0, 18.0), (37.0, 36.0)):
            self.assertEqual(attempt.handle(DeadlinePassed(), passed), [Examine()])
            (action,) = attempt.handle(Examined(Condition("running", 1.0, 1.0, given)), passed)
            self.assertIsInstance(action, Announce)
            self.assertEqual(attempt.deadline, passed + given)
        attempt.handle(DeadlinePassed(), 73.0)
        self.assertEqual(attempt.handle(Examined(Condition("running", 1.0, 1.0, 72.0)), 73.0), [DumpStacks()])

    def test_another_does_not(self) -> None:
        attempt = self.running()
        attempt.handle(DeadlinePassed(), 10.0)
        self.assertEqual(attempt.handle(Examined(Condition("sleeping", 0.1, 0.1, 0.1)), 10.0), [DumpStacks()])
