"""Writes a timeline of the run in Chrome's trace event format, for Perfetto and chrome://tracing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from isolatedunit.model.events import (
    AttemptFinished,
    ChildUnresponsive,
    Event,
    ResourcesSampled,
    RunCancelled,
    TestSlow,
)
from isolatedunit.model.results import GOOD
from isolatedunit.reporters.contract import ReportContext
from isolatedunit.reporters.escaping import on_one_line
from isolatedunit.reporters.files.json_report import write_whole
from isolatedunit.reporters.timeline import PHASES, Span

PROCESS = 1
"""The only process in the trace; its threads are the slots, from 1 on."""


class TraceReport:
    """Writes a run's timeline as one document, with the events that have a time but no duration: a listener."""

    def __init__(self, context: ReportContext) -> None:
        self._path = context.path
        self._origin = context.origin
        self._timeline = context.timeline
        self._timeline.keep_spans()
        self._sampled: set[str] = set()
        self._moments: list[dict[str, Any]] = []

    def handle(self, event: Event) -> None:
        """Note *event*, if it has no duration."""
        if isinstance(event, AttemptFinished):
            if event.attempt in self._sampled:
                self._sampled.discard(event.attempt)
                self._count_sampled(event)
        elif isinstance(event, RunCancelled):
            self._moments.append(self._instant(event, f"cancelled: {event.reason}", 0, "g"))
        elif isinstance(event, (ResourcesSampled, TestSlow, ChildUnresponsive)):
            span = self._timeline.running.get(event.attempt)
            if span is None:
                return
            if isinstance(event, ResourcesSampled):
                self._sampled.add(event.attempt)
                self._count_sampled(event)
            else:
                word = "slow" if isinstance(event, TestSlow) else "unresponsive"
                self._moments.append(self._instant(event, f"{word}: {event.test}", span.slot, "t"))

    def _count_sampled(self, event: Event) -> None:
        total = sum(span.rss or 0 for span in self._timeline.running.values())
        self._moments.append(self._counter(event.time, "memory, sampled (bytes)", {"rss": total}))

    def write(self) -> None:
        """Write the document, whole or not at all, readable by its owner only; raises `OSError`."""
        document = self.document()
        lines = ",\n".join(json.dumps(event) for event in document.pop("traceEvents"))
        rest = json.dumps(document)[1:]
        write_whole(self._path, f'{{"traceEvents":[\n{lines}\n],\n{rest}\n')

    def document(self) -> dict[str, Any]:
        """The trace as plain values."""
        events = [*self._names(), *self._moments, *self._counters()]
        for span in self._timeline.spans:
            events += self._shapes(span)
        return {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {
                "run": self._run_id,
                "started_at": self._origin.started_at.isoformat(),
                "python": self._origin.python,
                "platform": self._origin.platform,
            },
        }

    @property
    def _run_id(self) -> str:
        return "" if self._timeline.run is None else self._timeline.run.run

    def _names(self) -> Iterator[dict[str, Any]]:
        """The metadata: the names of the process and of its rows, and the order of the rows."""
        yield _metadata("process_name", 0, {"name": f"isolatedunit {self._run_id}".strip()})
        for slot, machine in sorted({(span.slot, span.machine) for span in self._timeline.spans}):
            yield _metadata("thread_name", slot, {"name": f"slot {slot} {machine}".strip()})
            yield _metadata("thread_sort_index", slot, {"sort_index": slot})

    def _shapes(self, span: Span) -> Iterator[dict[str, Any]]:
        """The slice of an attempt, and the slices of its phases, none of which reaches beyond it."""
        begin, end = (
            self._microseconds(span.begin),
            self._microseconds(self._timeline.last if span.end is None else span.end),
        )
        yield {**self._slice(_title(span), "attempt", span.slot, begin, end), "args": _facts(span), **_colour(span)}
        phases = {name: span.phases[name] for name in PHASES if name in span.phases}
        if not phases and span.spawn_time is not None:
            phases = {"spawn": span.spawn_time, "run": float("inf")}  # there is no receipt with more
        left, reached = begin, span.begin
        for name, seconds in phases.items():
            reached += seconds
            right = end if reached == float("inf") else min(end, self._microseconds(reached))
            if right > left:
                yield self._slice(name, "phase", span.slot, left, right)
                left = right

    def _counters(self) -> Iterator[dict[str, Any]]:
        """How many attempts ran at each moment, and the sum of their peaks, which is an upper bound of the memory in
        use."""
        running: list[tuple[float, int]] = []
        peaks: list[tuple[float, int]] = []
        for span in self._timeline.spans:
            running.append((span.begin, 1))
            if span.end is not None:
                running.append((span.end, -1))
                if span.peak_rss:
                    peaks += [(span.begin, span.peak_rss), (span.end, -span.peak_rss)]
        for name, value, steps in (
            ("processes", "running", running),
            ("memory, peaks of running tests (bytes)", "peak_rss", peaks),
        ):
            total = 0
            for time, change in sorted(steps, key=lambda step: step[0]):
                total += change
                yield self._counter(time, name, {value: total})

    def _slice(self, name: str, category: str, slot: int, begin: int, end: int) -> dict[str, Any]:
        where = {"pid": PROCESS, "tid": slot}
        return {"name": name, "cat": category, "ph": "X", "ts": begin, "dur": end - begin, **where}

    def _counter(self, time: float, name: str, values: dict[str, int]) -> dict[str, Any]:
        return {"name": name, "ph": "C", "ts": self._microseconds(time), "pid": PROCESS, "tid": 0, "args": values}

    def _instant(self, event: Event, name: str, slot: int, scope: str) -> dict[str, Any]:
        when = {"ts": self._microseconds(event.time), "pid": PROCESS, "tid": slot}
        return {"name": on_one_line(name), "cat": "run", "ph": "i", "s": scope, **when}

    def _microseconds(self, time: float) -> int:
        # rounded, so that what ends and what begins at the same moment have exactly the same time
        return round((time - self._origin.time) * 1e6)


def _metadata(name: str, slot: int, values: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "pid": PROCESS, "tid": slot, "args": values}


def _title(span: Span) -> str:
    if not span.tests:
        return "collecting the tests"
    more = f" and {len(span.tests) - 1} more" if len(span.tests) > 1 else ""
    return on_one_line(span.tests[0]) + more


def _facts(span: Span) -> dict[str, Any]:
    return {
        "attempt": span.attempt,
        "tests": {on_one_line(test): span.outcomes.get(test) for test in span.tests},
        "cause": span.cause,
        "process_id": span.process_id,
        "peak_rss": span.peak_rss or None,
    }


def _colour(span: Span) -> dict[str, str]:
    """A colour by the name that chrome://tracing has for it; Perfetto ignores it."""
    if not span.outcomes:
        return {}
    return {"cname": "good" if all(outcome in GOOD for outcome in span.outcomes.values()) else "terrible"}
