"""Makes plain events of a run that never was, for the tests of what listens to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    ChildStarted,
    Event,
    Listener,
    RetryScheduled,
    RunFinished,
    RunStarted,
    TestFinished,
)
from isolatedunit.model.results import AttemptReport, Note, PlannedTest, TestReport
from isolatedunit.reporters.contract import Origin, ReportContext
from isolatedunit.reporters.timeline import Timeline

ORIGIN = Origin(
    started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    time=100.0,
    python="3.11.7",
    platform="Linux",
    isolation="test",
    start_method="forkserver",
    fork_after="import",
)

ATTEMPT = AttemptReport(
    number=1,
    outcome="passed",
    cause=None,
    exit_code=0,
    signal=None,
    process_id=4711,
    duration=0.5,
    spawn_time=0.1,
    cleanup_time=0.1,
    cpu_time=0.25,
    memory_usage={"peak_rss": 1000},
    handle_stats={},
    start_method="forkserver",
    fork_after="import",
)

EVERY_CONTROL_CHARACTER = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0)))) + "\udfff\ud800\ufffe\uffff\u2028"
"""What makes a file invalid, or a terminal do something."""


def context(path: str = "unused", **more: Any) -> ReportContext:
    """What a report is made from; its timeline has to hear the events before the report does."""
    return ReportContext(path, ORIGIN, Options(), Timeline(ORIGIN.time), **more)


def failure(text: str = "boom", kind: str = "addFailure", **more: Any) -> Note:
    """A note of a failed assertion, or of what *kind* says."""
    exception = "AssertionError" if kind == "addFailure" else None
    return Note(kind, **{"text": f"Traceback: {text}\n", "message": text, "exception": exception, **more})


def planned(test_id: str, number: int = 0) -> PlannedTest:
    """The test of that id, in the class that the id names."""
    class_id, _, name = test_id.rpartition(".")
    return PlannedTest(number, test_id, f"{name} ({test_id})", None, class_id, class_id.rpartition(".")[0])


class EventRecorder:
    """A listener that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def handle(self, event: Event) -> None:
        """Keep *event*."""
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of this kind, in their order."""
        return [event for event in self.events if isinstance(event, kind)]


class Story:
    """Tells a listener, or several, of a run: an event each second."""

    def __init__(self, *listeners: Listener) -> None:
        self.time = 100.0
        self._listeners = listeners
        self._number = 0

    def tell(self, event_type: type[Event], *values: Any, **more: Any) -> None:
        """An event of that type happens now."""
        self.time += 1.0
        for listener in self._listeners:
            listener.handle(event_type(self.time, *values, **more))

    def begin(self, tests: int = 0, jobs: int = 2) -> None:
        """The run starts."""
        self.tell(RunStarted, "run", tests, jobs, "forkserver")

    def end(self, *, not_run: tuple[str, ...] = ()) -> None:
        """The run is over."""
        self.tell(RunFinished, (), not_run)

    def attempt(self, *tests: str, number: int = 1, cause: str | None = None, **phases: float) -> None:
        """An attempt at *tests* begins and ends."""
        attempt_id = f"run/{self._number}#{number}"
        self.tell(AttemptStarted, attempt_id, tests)
        self.tell(ChildStarted, attempt_id, 4711, 0.1)
        self.tell(AttemptFinished, attempt_id, tests, 0.1, 2.0, 1000, cause, phases)

    def retry(self, test_id: str, *notes: Note, outcome: str = "failed", **more: Any) -> None:
        """A test did not come out well, and is tried again."""
        self.tell(RetryScheduled, "run/0#1", test_id, outcome, None, 1, notes, **more)

    def settle(self, test_id: str, outcome: str = "passed", *notes: Note, attempts: int = 1, **more: Any) -> None:
        """The one report on a test, or on a fixture if the id is that of one."""
        self._number += 1
        is_fixture = test_id.endswith(")")
        values: dict[str, Any] = {
            "duration": 0.25,
            "planned": None if is_fixture else planned(test_id, self._number),
            "place": float(self._number),
            "counted": not is_fixture,
            "succeeded": outcome == "passed",
            "attempts": tuple(
                replace(ATTEMPT, number=number, outcome=outcome if number == attempts else "failed")
                for number in range(1, attempts + 1)
            ),
            **more,
        }
        self.tell(TestFinished, TestReport(test_id, outcome, notes=notes, **values))

    def settle_all_kinds(self) -> None:
        """A report of each kind that there is."""
        self.settle("a.A.test_passes", stdout="said\n")
        self.settle("a.A.test_fails", "failed", failure("one < two & three"), stdout="out\n", stderr="err\n")
        self.settle("a.A.test_errs", "error", failure(kind="addError", exception="OSError"))
        self.settle("a.A.test_crashes", "error", failure("exited", kind="addError"), cause="crash")
        self.settle("a.A.test_skipped", "skipped", Note("addSkip", "not today", "not today"))
        self.settle("a.A.test_expected", "expectedFailure", failure(kind="addExpectedFailure"))
        self.settle("a.A.test_unexpected", "unexpectedSuccess", Note("addUnexpectedSuccess"))
        self.settle("setUpClass (b.B)", "error", failure("no database", kind="addError", exception="OSError"))
        self.settle("setUpModule (c)", "error", failure("no file", kind="addError", exception="OSError"))
        self.retry("a.A.test_flaky", failure("at first"), stdout="first\n")
        self.settle("a.A.test_flaky", attempts=2, stdout="second\n")
        self.retry("a.A.test_again", failure("one"), stderr="first\n")
        self.retry("a.A.test_again", failure("two", kind="addError"), outcome="error")
        self.settle("a.A.test_again", "failed", failure("three"), attempts=3)
