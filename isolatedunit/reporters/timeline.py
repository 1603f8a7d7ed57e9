"""The state of a run at each moment: one object hears the events, and all who show or count the run read it.

`Timeline` is a pure state machine: it does no I/O and reads no clock but the times of the events. It has no lock,
which would take as long as all else that it does. Another thread may read it all the same: values are replaced, lists
only grow, and `Timeline.running_spans` is a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    ChildStarted,
    ChildUnresponsive,
    Event,
    PhaseSeen,
    ProgressMade,
    ResourcesSampled,
    RetryScheduled,
    RunCancelled,
    RunFinished,
    RunStarted,
    TestFinished,
    TestQueued,
    TestSlow,
    Warned,
)
from isolatedunit.model.records import record
from isolatedunit.model.results import Counts, TestReport

PHASES = ("spawn", "import", "fixtures", "tests", "cleanup")
"""Where the time of an attempt goes, in the order in which it is shown."""

_MOST_SAMPLES = 1000

_NONE: dict[str, Any] = {}  # shared by all spans: two dictionaries for each would take longer to make than all the rest


@record(eq=False)
class Span:
    """One attempt on the timeline: which tests it runs, in which slot, since when, and how it ended.

    *begin* and *end* are times of the events, *spawn_time* and *phases* seconds, *rss* and *peak_rss* bytes. *test*
    is the test that runs now, *phase* the part of it that was seen last and what it waits for, *progress* what the test
    reported about itself. *samples* are the times and the memory in bytes that were seen, and *outcomes* has the
    outcome of each test that was settled, if the timeline keeps spans. *machine* is where the attempt runs, empty for
    the machine of the runner.
    """

    attempt: str
    tests: tuple[str, ...]
    slot: int
    begin: float
    test: str
    phases: dict[str, float]
    outcomes: dict[str, str]
    phase: str = "spawn"
    progress: str = ""
    is_slow: bool = False
    is_silent: bool = False
    process_id: int | None = None
    spawn_time: float | None = None
    rss: int | None = None
    end: float | None = None
    cause: str | None = None
    peak_rss: int | None = None
    samples: tuple[tuple[float, int], ...] = ()
    machine: str = ""


@record()
class SlotUse:
    """How a run used its slots: all in seconds, but for the number of *waits*.

    *offered* is the time of all slots together, *busy* the part of it in which an attempt held one, *waited* how long
    tests waited for their first slot.
    """

    offered: float = 0.0
    busy: float = 0.0
    waited: float = 0.0
    waits: int = 0


class Timeline:
    """One run, from its events: a listener that has to hear each of them before those who read it.

    `running` has a `Span` for each attempt that runs, by its id, `counts` the outcomes so far, `slot_use` what became
    of the slots. `run` is the event that started the run, `stopped` the last one that ended it early, `missing` and
    `not_run` are the ids that `RunFinished` has. `last` is the time of the last event, or *now* if there was none.

    What is over is forgotten, so that a run of any length needs little memory; `keep_spans` and `keep_reports` keep it.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.last = now
        self.run: RunStarted | None = None
        self.planned = 0
        self.jobs = 1
        self.began_at = now
        self.is_finished = False
        self.stopped: RunCancelled | None = None
        self.interrupted = False
        self.warnings: list[str] = []
        self.missing: tuple[str, ...] = ()
        self.not_run: tuple[str, ...] = ()
        self.counts = Counts()
        self.slot_use = SlotUse()
        self.running: dict[str, Span] = {}
        self.reports: list[TestReport] = []
        self.spans: list[Span] = []  # in the order in which they started
        self.settled: list[Span] = []  # in the order in which the outcomes of all their tests became known
        self.unsettled: dict[str, Span] = {}  # those that have ended while the outcome of a test is still to come
        self._keeps_reports = self._keeps_spans = False
        self._span_of: dict[str, Span] = {}
        self._free_slots: dict[str, list[int]] = {}  # of each machine
        self._slots = 0
        self._queued: dict[str, float] = {}
        self._counted_at = now

    def keep_reports(self) -> None:
        """From now on keep the report of each test in `reports`."""
        self._keeps_reports = True

    def keep_spans(self) -> None:
        """From now on keep each attempt in `spans`, and in `settled` or `unsettled` when it has ended."""
        self._keeps_spans = True

    @property
    def done(self) -> int:
        """How many of the planned tests were settled."""
        return min(self.counts.tests, self.planned)

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return 0.0 if self.run is None else self.last - self.began_at

    def running_spans(self) -> list[Span]:
        """The attempts that run now, in the order in which they began."""
        return list(self.running.values())

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        if event.time > self.last:
            self.last = event.time
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    # ---- the run

    def _count_slots(self) -> None:
        """Add up the use of slots so far; called only when it changes, since each event would cost too much time."""
        if self.run is not None and not self.is_finished:
            elapsed = self.last - self._counted_at
            self.slot_use.offered += self.jobs * elapsed
            self.slot_use.busy += len(self.running) * elapsed
        self._counted_at = self.last

    def _start_run(self, event: RunStarted) -> None:
        self._count_slots()
        self.run, self.planned, self.jobs, self.began_at = event, event.planned, event.jobs, event.time
        self.is_finished = False

    def _stop_run(self, event: RunCancelled) -> None:
        self.stopped = event
        self.interrupted = self.interrupted or event.interrupted

    def _finish_run(self, event: RunFinished) -> None:
        self._count_slots()
        self.missing, self.not_run, self.is_finished = event.missing, event.not_run, True
        self.settled += self.unsettled.values()
        self.unsettled = {}

    def _note_warning(self, event: Warned) -> None:
        self.warnings.append(event.text)

    # ---- tests

    def _queue_test(self, event: TestQueued) -> None:
        self._count_slots()
        self._queued[str(event.number)] = event.time

    def _finish_test(self, event: TestFinished) -> None:
        report = event.report
        self.counts.add(report)
        if self._keeps_reports:
            self.reports.append(report)
        if self._keeps_spans:
            self._settle(self._span_of.pop(report.id, None), report.id, report.outcome)

    def _retry_test(self, event: RetryScheduled) -> None:
        if self._keeps_spans:
            self._settle(self._span_of.get(event.test), event.test, event.outcome)

    def _settle(self, span: Span | None, test: str, outcome: str) -> None:
        if span is None:
            return
        span.outcomes[test] = outcome
        if len(span.outcomes) >= len(span.tests) and self.unsettled.pop(span.attempt, None) is not None:
            self.settled.append(span)

    # ---- attempts

    def _start_attempt(self, event: AttemptStarted) -> None:
        self._count_slots()
        free = self._free_slots.get(event.machine)
        if free:
            slot = heappop(free)
        else:
            slot = self._slots = self._slots + 1
        attempt, tests = event.attempt, event.tests
        outcomes = {} if self._keeps_spans else _NONE
        span = Span(attempt, tests, slot, event.time, tests[0] if tests else "", _NONE, outcomes)
        span.machine = event.machine
        self.running[attempt] = span
        if self._keeps_spans:
            self.spans.append(span)
            self._span_of.update(dict.fromkeys(tests, span))
        if attempt.endswith("#1"):
            number = attempt[attempt.rfind("/") + 1 : -2]
            if number.isdigit():
                self.slot_use.waited += event.time - self._queued.pop(number, self.began_at)
                self.slot_use.waits += 1

    def _finish_attempt(self, event: AttemptFinished) -> None:
        self._count_slots()
        span = self.running.pop(event.attempt, None)
        if span is None:
            return
        heappush(self._free_slots.setdefault(span.machine, []), span.slot)
        span.end, span.cause, span.phases = event.time, event.cause, event.phases
        span.peak_rss, span.spawn_time = event.peak_rss, event.spawn_time
        if self._keeps_spans:
            if len(span.outcomes) >= len(span.tests):
                self.settled.append(span)
            else:
                self.unsettled[event.attempt] = span

    def _start_child(self, event: ChildStarted) -> None:
        span = self.running.get(event.attempt)
        if span is not None:
            span.process_id, span.spawn_time, span.phase = event.process_id, event.spawn_time, ""

    def _see_phase(self, event: PhaseSeen) -> None:
        span = self.running.get(event.attempt)
        if span is not None:
            waits_for = f"({event.waits_for})" if event.waits_for else ""
            span.test, span.phase, span.is_silent = event.test or span.test, f"{event.phase} {waits_for}".strip(), False

    def _note_progress(self, event: ProgressMade) -> None:
        span = self.running.get(event.attempt)
        if span is not None:
            span.test, span.progress = event.test, f"{event.fraction:.0%} {event.text}".strip()

    def _note_slow(self, event: TestSlow) -> None:
        span = self.running.get(event.attempt)
        if span is not None:
            span.test, span.is_slow = event.test, True

    def _note_silence(self, event: ChildUnresponsive) -> None:
        span = self.running.get(event.attempt)
        if span is not None:
            span.test, span.is_silent = event.test, True

    def _note_use(self, event: ResourcesSampled) -> None:
        span = self.running.get(event.attempt)
        if span is not None:
            span.rss = event.rss
            if self._keeps_spans:
                span.samples = (*span.samples[-_MOST_SAMPLES:], (event.time, event.rss))


_HANDLERS: dict[type[Event], Callable[[Timeline, Any], None]] = {
    RunStarted: Timeline._start_run,
    RunCancelled: Timeline._stop_run,
    RunFinished: Timeline._finish_run,
    Warned: Timeline._note_warning,
    TestQueued: Timeline._queue_test,
    TestFinished: Timeline._finish_test,
    RetryScheduled: Timeline._retry_test,
    AttemptStarted: Timeline._start_attempt,
    AttemptFinished: Timeline._finish_attempt,
    ChildStarted: Timeline._start_child,
    PhaseSeen: Timeline._see_phase,
    ProgressMade: Timeline._note_progress,
    TestSlow: Timeline._note_slow,
    ChildUnresponsive: Timeline._note_silence,
    ResourcesSampled: Timeline._note_use,
}
