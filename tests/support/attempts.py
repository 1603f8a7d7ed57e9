"""What the tests of the attempt's state machine have in common."""

from __future__ import annotations

from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import (
    Action,
    ChildExited,
    Stimulus,
)
from isolatedunit.model.results import ExitStatus, PlannedTest
from isolatedunit.protocol.child_settings import ChildSettings
from isolatedunit.protocol.messages import (
    ChildReady,
    OutcomeNoted,
    RunTest,
    TestEnded,
    TestStarted,
    WorkFinished,
)

PID = 4711
SETTINGS = ChildSettings(
    failfast=False,
    buffer=False,
    tb_locals=False,
    warnings=None,
    ipc=True,
    heartbeat_interval=1.0,
    cleanup_timeout=10.0,
)
"""What a child is told where nothing of it matters."""

WORK = RunTest(attempt="run/0#1", tests=[], settings=SETTINGS)
"""Work of a child where nobody does it."""

SAID: dict[str, Any] = {"attempt": "run/0#1", "pid": PID}


def planned(number: int = 0, **values: Any) -> PlannedTest:
    """A test of ``pkg.mod.Class``."""
    name = f"test_{number}"
    return PlannedTest(number, f"pkg.mod.Class.{name}", name, None, "pkg.mod.Class", "pkg.mod", **values)


def make(count: int = 1, **options: Any) -> Attempt:
    """An attempt at *count* tests of one class."""
    return Attempt("run/0#1", [planned(number) for number in range(count)], Options(**options))


def started(test: int = 0) -> TestStarted:
    return TestStarted(**SAID, test=test)


def finished(test: int = 0, succeeded: bool = True) -> TestEnded:
    return TestEnded(**SAID, test=test, duration=0.5, counted=True, succeeded=succeeded)


def noted(test: int | None = 0, fixture: str | None = None, kind: str = "addFailure") -> OutcomeNoted:
    return OutcomeNoted(**SAID, test=test, fixture=fixture, kind=kind, text="text", message="message")


READY = ChildReady(**SAID)
RECEIPT = WorkFinished(**SAID, peak_rss=1000)
EXITED = ChildExited(ExitStatus(exit_code=0))
SEGFAULT = ChildExited(ExitStatus(signal="SIGSEGV"), "the stack")


def drive(attempt: Attempt, *stimuli: Stimulus, at: float = 0.0, step: float = 0.1) -> list[Action]:
    """Tell the attempt the stimuli, *step* seconds apart; gives the last one's actions."""
    actions: list[Action] = []
    for stimulus in stimuli:
        actions = attempt.handle(stimulus, at)
        at += step
    return actions
