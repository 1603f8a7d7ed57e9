"""Foresees in which order and slot tests would begin, by playing a run in which each test takes what it took before.

The scheduler and the state machines are those of a run; only the processes and the clock are played.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import ChildExited, SlotGranted
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.model.records import record
from isolatedunit.model.results import ExitStatus, Output, PlannedTest, SpawnInfo
from isolatedunit.protocol.messages import ChildReady, TestEnded, TestStarted, WorkFinished

_SAID: dict[str, Any] = {"attempt": "", "pid": 1}


@record(frozen=True)
class Begin:
    """When a *test* would begin, in seconds from the start of the run, in which *slot*, counted from 1, and for how
    long; *seconds* is None if nothing is known about it. Tests of one *process* share it."""

    test: PlannedTest
    slot: int
    at: float
    seconds: float | None
    process: int


def foresee(tests: Sequence[PlannedTest], options: Options, expectations: Expectations, slots: int) -> Iterator[Begin]:
    """Play a run of the tests in *slots* slots. What the tests need of memory is left out of it."""
    scheduler = Scheduler("forecast", tests, options, replace(expectations, peaks={}), slots)
    unknown = expectations.of_unknown
    free = list(range(1, slots + 1))
    heapify(free)
    running: list[tuple[float, int, int, Attempt]] = []
    now, processes = 0.0, 0
    while True:
        while (attempt := scheduler.next_attempt(now)) is not None:
            processes += 1
            slot, at = heappop(free) if free else slots, now
            for test in attempt.tests:
                seconds = expectations.seconds.get(test.id)
                yield Begin(test, slot, at, seconds, processes)
                at += unknown if seconds is None else seconds
            heappush(running, (at, processes, slot, attempt))
        if not running:
            return
        now, _, slot, attempt = heappop(running)
        heappush(free, slot)
        _pass(attempt, now)
        outputs = [Output()] * max(1, len(attempt.conclusion.settled))
        scheduler.settle(attempt, outputs, SpawnInfo(options.start_method), now)


def _pass(attempt: Attempt, now: float) -> None:
    """Let all tests of an attempt, or its fixture, pass."""
    attempt.handle(SlotGranted(), now)
    attempt.handle(ChildReady(**_SAID), now)
    for place in range(len(attempt.tests)):
        attempt.handle(TestStarted(**_SAID, test=place), now)
        attempt.handle(TestEnded(**_SAID, test=place, duration=0.0, counted=True, succeeded=True), now)
    attempt.handle(WorkFinished(**_SAID, clean=True), now)
    attempt.handle(ChildExited(ExitStatus(exit_code=0)), now)
