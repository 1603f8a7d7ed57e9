"""Plans tests, and plays the processes that a scheduler starts, without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import ChildExited, SlotGranted
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.model.events import Event
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.results import ExitStatus, Output, PlannedTest, SpawnInfo
from isolatedunit.protocol.messages import (
    ChildReady,
    OutcomeNoted,
    TestEnded,
    TestStarted,
    WorkFinished,
)

SAID: dict[str, Any] = {"attempt": "x", "pid": 1}


def plan(*names: str, **values: Any) -> list[PlannedTest]:
    """Tests of these names, each ``module.Class.test``."""
    planned = []
    for number, name in enumerate(names):
        class_id = name.rpartition(".")[0]
        module = class_id.rpartition(".")[0]
        planned.append(PlannedTest(number, name, name, None, class_id, module, home={"module": module}, **values))
    return planned


def scheduler(*names: str, **options: Any) -> Scheduler:
    return Scheduler("run", plan(*names), Options(**options))


def take(schedule: Scheduler, now: float = 0.0) -> list[Attempt]:
    """All attempts that may begin now."""
    attempts = []
    while (attempt := schedule.next_attempt(now)) is not None:
        attempts.append(attempt)
    return attempts


def ids(attempts: Sequence[Attempt]) -> list[list[str]]:
    return [[test.id for test in attempt.tests] for attempt in attempts]


def conclude(attempt: Attempt, *bad: int, status: ExitStatus | None = None, now: float = 0.0) -> None:
    """Let the attempt's tests end, those at the places *bad* with a failure."""
    attempt.handle(SlotGranted(), now)
    attempt.handle(ChildReady(**SAID), now)
    for place in range(len(attempt.tests)):
        attempt.handle(TestStarted(**SAID, test=place), now)
        if place in bad:
            attempt.handle(OutcomeNoted(**SAID, test=place, kind="addFailure", text="bad", message="bad"), now)
        succeeded = place not in bad
        attempt.handle(TestEnded(**SAID, test=place, duration=0.1, counted=True, succeeded=succeeded), now)
    attempt.handle(WorkFinished(**SAID), now)
    attempt.handle(ChildExited(status or ExitStatus(exit_code=0)), now)


def settle(schedule: Scheduler, attempt: Attempt, now: float = 0.0) -> list[Event]:
    outputs = [Output()] * max(1, len(attempt.conclusion.settled))
    return schedule.settle(attempt, outputs, SpawnInfo("spawn"), now)


def reported(events: Sequence[Event]) -> dict[str, str]:
    return {event.report.id: event.report.outcome for event in events if isinstance(event, Finished)}
