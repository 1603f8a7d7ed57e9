"""Without these, a test fails for a time in which only the runner stood still, or waited for who reads its output."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterable
from typing import Any

from isolatedunit.backends.contract import ChildSpec
from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.loop import LONGEST_DELAY, Loop
from isolatedunit.engine.running import Running
from isolatedunit.model.events import ChildStarted, Event
from isolatedunit.protocol.messages import Report, WorkFinished
from isolatedunit.protocol.messages import TestEnded as Ended
from isolatedunit.protocol.messages import TestStarted as Started
from tests.support.attempts import SAID, WORK, planned
from tests.support.hostile_children import READY, TalkingChild, frames

TIMEOUT = 5.0
REST = frames(
    Started(**SAID, test=0),
    Ended(**SAID, test=0, duration=0.1, counted=True, succeeded=True),
    WorkFinished(**SAID, clean=True, peak_rss=1_000_000),
)


class PatientChild(TalkingChild):
    """Says its next piece, or ends, when the test has it do so."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__(pieces)
        self.look_again_at = float("inf")

    def go_on(self) -> None:
        super().look(0.0)

    def look(self, _now: float) -> list[Report]:
        return []


class StandingStill:
    """A loop with one child, whose time goes on only as the test says; *on_event* hears what it publishes."""

    def __init__(self, pieces: Iterable[bytes], on_event: Callable[[Event], object] = lambda _: None) -> None:
        self.time = 0.0
        self.child = PatientChild(pieces)
        self.attempt = Attempt("run/0#1", [planned()], Options(process_timeout=TIMEOUT, heartbeat_interval=1000.0))
        self._on_event = on_event
        self.loop = Loop(
            lambda _: self,  # type: ignore[arg-type, return-value]
            [self],
            listens_at_once=lambda: True,
            clock=lambda: self.time,
        )
        self.loop._waiter.wait = self._wait
        self.pauses: list[float] = []

    def spawn(self, _: ChildSpec) -> PatientChild:
        return self.child

    def handle(self, event: Event) -> None:
        self._on_event(event)

    def _wait(self, timeout: float) -> list[Any]:
        """As a wait that is begun again after a signal: it finds its time over, and looks at nothing."""
        self.time += self.pauses.pop(0) if self.pauses else timeout
        return []

    def start(self) -> None:
        self.loop.start(Running(self.attempt, ChildSpec("run/0#1", WORK), "/nowhere/receipt", lambda _: None))

    def finish(self) -> Attempt:
        for _ in range(20):
            if not self.loop.occupied:
                break
            self.loop.turn()
        self.loop.close()
        self.child.close()
        return self.attempt


class ClockTest(unittest.TestCase):
    def test_what_a_child_said_counts_before_its_time_is_over(self) -> None:
        still = StandingStill([READY + REST])
        still.start()
        still.child.go_on()  # it writes all of it, and has ended
        still.child.go_on()
        still.pauses = [1000.0]
        attempt = still.finish()
        self.assertIsNone(attempt.cause, attempt.format_story())
        self.assertTrue(attempt.received_all)

    def test_a_listener_that_is_held_up_costs_no_test(self) -> None:
        def pause(event: Event) -> None:
            if isinstance(event, ChildStarted):
                still.child.go_on()
                still.child.go_on()
                still.time += 1000.0

        still = StandingStill([READY, REST], pause)
        still.start()
        still.child.go_on()
        attempt = still.finish()
        self.assertIsNone(attempt.cause, attempt.format_story())
        self.assertTrue(attempt.received_all)

    def test_the_clock_stands_still_with_the_runner(self) -> None:
        still = StandingStill([READY])
        still.start()
        still.child.go_on()
        still.pauses = [0.0, 1000.0]
        while still.attempt.ready_at > still.time or still.pauses:
            still.loop.turn()
        self.assertLess(still.loop.now, TIMEOUT + LONGEST_DELAY)
        self.assertIsNone(still.attempt.cause)
        still.child.kill()
        still.child.go_on()
        still.finish()

    def test_a_test_that_hangs_is_still_out_of_time(self) -> None:
        still = StandingStill([READY])
        still.start()
        still.child.go_on()
        while still.attempt.cause is None and still.time < 2 * TIMEOUT:
            still.loop.turn()
        self.assertEqual(still.attempt.cause, "timeout", still.attempt.format_story())
        still.child.kill()
        still.child.go_on()
        still.finish()
