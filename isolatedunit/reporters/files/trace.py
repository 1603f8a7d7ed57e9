"""Writes when what ran in Chrome's trace event format, for Perfetto and chrome://tracing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    ChildStarted,
    ChildUnresponsive,
    Event,
    ResourcesSampled,
    RetryScheduled,
    RunCancelled,
    RunStarted,
    TestFinished,
    TestSlow,
)
from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD
from isolatedunit.reporters.escaping import on_one_line
from isolatedunit.reporters.files.json_report import Origin, write_whole

PROCESS = 1
"""The one process that the trace tells of; its threads are the slots, from 1 on."""

PHASES = ("spawn", "import", "fixtures", "tests", "cleanup")
"""In the order in which they are shown; fixtures are before and after tests, and what is known is how long."""


@record()
class Slice:
    """An attempt: what it ran, and from when to when."""

    attempt: str
    tests: tuple[str, ...]
    slot: int
    begin: float
    end: float | None = None
    spawn_time: float | None = None
    process_id: int | None = None
    peak_rss: int = 0
    cause: str | None = None
    phases: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)


class TraceReport:
    """Gathers when what ran, and `write`s it as one document: a listener."""

    def __init__(self, path: str, origin: Origin) -> None:
        self.path = path
        self._origin = origin
        self._run = ""
        self._last = origin.time
        self._running: dict[str, Slice] = {}
        self.slices: list[Slice] = []
        self.ended: Slice | None = None  # the last one that did
        self._of_test: dict[str, Slice] = {}
        self._sampled: dict[str, int] = {}
        self._others: list[dict[str, Any]] = []

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        self._last = max(self._last, event.time)
        if isinstance(event, AttemptStarted):
            self._begin(event)
        elif isinstance(event, AttemptFinished):
            self._finish(event)
        elif isinstance(event, TestFinished):
            self._note_outcome(event.report.id, event.report.outcome)
        elif isinstance(event, RetryScheduled):
            self._note_outcome(event.test, event.outcome)
        elif isinstance(event, RunStarted):
            self._run = event.run
        elif isinstance(event, RunCancelled):
            self._others.append(self._instant(event, f"cancelled: {event.reason}", 0, "g"))
        elif isinstance(event, (ChildStarted, ResourcesSampled, TestSlow, ChildUnresponsive)):
            running = self._running.get(event.attempt)
            if running is not None:
                self._notice(event, running)

    def _begin(self, event: AttemptStarted) -> None:
        taken = {one.slot for one in self._running.values()}
        slot = next(number for number in itertools.count(1) if number not in taken)
        started = Slice(event.attempt, event.tests, slot, event.time)
        self._running[event.attempt] = started
        self.slices.append(started)
        self._of_test.update(dict.fromkeys(event.tests, started))
        self._count_processes(event)

    def _finish(self, event: AttemptFinished) -> None:
        self.ended = ended = self._running.pop(event.attempt, None)
        if ended is None:
            return
        ended.end, ended.cause, ended.phases = event.time, event.cause, dict(event.phases)
        ended.peak_rss, ended.spawn_time = event.peak_rss or 0, event.spawn_time
        self._count_processes(event)
        if self._sampled.pop(event.attempt, None) is not None:
            self._count_sampled(event)

    def _note_outcome(self, test: str, outcome: str) -> None:
        ran = self._of_test.get(test)
        if ran is not None:
            ran.outcomes[test] = outcome

    def _notice(self, event: Event, running: Slice) -> None:
        if isinstance(event, ChildStarted):
            running.process_id, running.spawn_time = event.process_id, event.spawn_time
        elif isinstance(event, ResourcesSampled):
            self._sampled[event.attempt] = event.rss
            self._count_sampled(event)
        elif isinstance(event, TestSlow):
            self._others.append(self._instant(event, f"slow: {event.test}", running.slot, "t"))
        elif isinstance(event, ChildUnresponsive):
            self._others.append(self._instant(event, f"unresponsive: {event.test}", running.slot, "t"))

    def _count_processes(self, event: Event) -> None:
        self._others.append(self._counter(event.time, "processes", {"running": len(self._running)}))

    def _count_sampled(self, event: Event) -> None:
        self._others.append(self._counter(event.time, "memory, sampled (bytes)", {"rss": sum(self._sampled.values())}))

    def place_of(self, attempt: str) -> tuple[int, float] | None:
        """The slot of an attempt that runs, and the time at which it began."""
        running = self._running.get(attempt)
        return None if running is None else (running.slot, running.begin)

    def write(self) -> None:
        """Write the document, whole or not at all, readable by its owner only; raises `OSError`."""
        document = self.document()
        lines = ",\n".join(json.dumps(event) for event in document.pop("traceEvents"))
        rest = json.dumps(document)[1:]
        write_whole(self.path, f'{{"traceEvents":[\n{lines}\n],\n{rest}\n')

    def document(self) -> dict[str, Any]:
        """The trace as plain values."""
        events = [*self._names(), *self._others, *self._memory()]
        for one in self.slices:
            events += self._shapes(one)
        return {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {
                "run": self._run,
                "started_at": self._origin.started_at.isoformat(),
                "python": self._origin.python,
                "platform": self._origin.platform,
            },
        }

    def _names(self) -> Iterator[dict[str, Any]]:
        """The metadata: what the process and its rows are called, and in which order they stand."""
        yield _metadata("process_name", 0, {"name": f"isolatedunit {self._run}".strip()})
        for slot in sorted({one.slot for one in self.slices}):
            yield _metadata("thread_name", slot, {"name": f"slot {slot}"})
            yield _metadata("thread_sort_index", slot, {"sort_index": slot})

    def _shapes(self, one: Slice) -> Iterator[dict[str, Any]]:
        """The slice of an attempt, and those of its phases in it, none of which goes beyond it."""
        begin, end = self._microseconds(one.begin), self._microseconds(self._last if one.end is None else one.end)
        yield {**self._slice(_title(one), "attempt", one.slot, begin, end), "args": _facts(one), **_colour(one)}
        phases = {name: one.phases[name] for name in PHASES if name in one.phases}
        if not phases and one.spawn_time is not None:
            phases = {"spawn": one.spawn_time, "run": float("inf")}  # without a receipt no more is known
        left, reached = begin, one.begin
        for name, seconds in phases.items():
            reached += seconds
            right = end if reached == float("inf") else min(end, self._microseconds(reached))
            if right > left:
                yield self._slice(name, "phase", one.slot, left, right)
                left = right

    def _memory(self) -> Iterator[dict[str, Any]]:
        """At any time the peaks of what runs then, together: no more than that was in use."""
        steps: list[tuple[float, int]] = []
        for one in self.slices:
            if one.end is not None and one.peak_rss:
                steps += [(one.begin, one.peak_rss), (one.end, -one.peak_rss)]
        total = 0
        for time, change in sorted(steps, key=lambda step: step[0]):
            total += change
            yield self._counter(time, "memory, peaks of what runs (bytes)", {"peak_rss": total})

    def _slice(self, name: str, category: str, slot: int, begin: int, end: int) -> dict[str, Any]:
        where = {"pid": PROCESS, "tid": slot}
        return {"name": name, "cat": category, "ph": "X", "ts": begin, "dur": end - begin, **where}

    def _counter(self, time: float, name: str, values: dict[str, int]) -> dict[str, Any]:
        return {"name": name, "ph": "C", "ts": self._microseconds(time), "pid": PROCESS, "tid": 0, "args": values}

    def _instant(self, event: Event, name: str, slot: int, scope: str) -> dict[str, Any]:
        when = {"ts": self._microseconds(event.time), "pid": PROCESS, "tid": slot}
        return {"name": on_one_line(name), "cat": "run", "ph": "i", "s": scope, **when}

    def _microseconds(self, time: float) -> int:
        # whole ones: what ends and begins at the same time must do so exactly
        return round((time - self._origin.time) * 1e6)


def _metadata(name: str, slot: int, values: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "pid": PROCESS, "tid": slot, "args": values}


def _title(one: Slice) -> str:
    if not one.tests:
        return "listing the tests"
    more = f" and {len(one.tests) - 1} more" if len(one.tests) > 1 else ""
    return on_one_line(one.tests[0]) + more


def _facts(one: Slice) -> dict[str, Any]:
    return {
        "attempt": one.attempt,
        "tests": {on_one_line(test): one.outcomes.get(test) for test in one.tests},
        "cause": one.cause,
        "process_id": one.process_id,
        "peak_rss": one.peak_rss or None,
    }


def _colour(one: Slice) -> dict[str, str]:
    """A colour that chrome://tracing knows by this name; Perfetto has its own."""
    if not one.outcomes:
        return {}
    return {"cname": "good" if all(outcome in GOOD for outcome in one.outcomes.values()) else "terrible"}
