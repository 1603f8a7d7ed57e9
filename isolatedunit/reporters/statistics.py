"""Counts what a run costs: a listener."""

from __future__ import annotations

from array import array
from typing import Any

from isolatedunit.config.start_method import proven_start_methods
from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    RunFinished,
    RunStarted,
    TestFinished,
    TestQueued,
)
from isolatedunit.model.results import Counts
from isolatedunit.reporters.costs import IsolationMode, Ledger, advise

PHASES = ("spawn", "import", "fixtures", "tests", "cleanup")

_USABLE = proven_start_methods()


class Statistics:
    """What a run, or several with the same statistics, has cost so far. Seconds and bytes.

    The figures may be asked for at any time, also while a run is on.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.processes_spawned = 0
        self.spawn_times = array("d")
        self.peak_memory = 0
        self.peak_memory_test: str | None = None
        self.phases = dict.fromkeys(PHASES, 0.0)
        self.failures_by_cause: dict[str, int] = {}
        self._imports, self._fixtures = Ledger(), Ledger()
        self._isolation_mode = IsolationMode()
        self._runs = 0
        self._busy = self._slots = 0.0  # seconds, of attempts and of slots that there were
        self._jobs = 0
        self._last = 0.0
        self._run_began = 0.0
        self._began: dict[str, float] = {}
        self._queued: dict[str, float] = {}
        self._waited = 0.0
        self._waits = 0

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        if self._jobs:
            self._slots += self._jobs * max(0.0, event.time - self._last)
        self._last = event.time
        if isinstance(event, TestFinished):
            self._count_test(event)
        elif isinstance(event, AttemptStarted):
            self._begin(event)
        elif isinstance(event, AttemptFinished):
            self._count_attempt(event)
        elif isinstance(event, TestQueued):
            self._queued[str(event.number)] = event.time
        elif isinstance(event, RunStarted):
            self._jobs, self._run_began = event.jobs, event.time
            self._isolation_mode = IsolationMode(event.isolation, event.start_method, event.fork_after, _USABLE)
            self._runs += 1
        elif isinstance(event, RunFinished):
            self._jobs = 0

    def _count_test(self, event: TestFinished) -> None:
        self.counts.add(event.report)
        cause = event.report.cause
        if cause is not None:
            self.failures_by_cause[cause] = self.failures_by_cause.get(cause, 0) + 1

    def _begin(self, event: AttemptStarted) -> None:
        self._began[event.attempt] = event.time
        number, _, attempt = event.attempt.rpartition("/")[2].partition("#")
        if attempt == "1" and number.isdigit():
            self._waited += event.time - self._queued.pop(number, self._run_began)
            self._waits += 1

    def _count_attempt(self, event: AttemptFinished) -> None:
        self.processes_spawned += 1
        began = self._began.pop(event.attempt, None)
        if began is not None and self._jobs:
            self._busy += event.time - began
        if event.spawn_time is not None:
            self.spawn_times.append(event.spawn_time)
        for phase, seconds in event.phases.items():
            self.phases[phase] += seconds
        self._imports.add(self._runs, event.imports)
        self._fixtures.add(self._runs, event.fixtures)
        if event.tests and (event.peak_rss or 0) > self.peak_memory:
            self.peak_memory = event.peak_rss or 0
            self.peak_memory_test = event.tests[0]

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values.

        *average*, *median* and *slowest* ``_spawn_time`` are from the order to make a process to its
        first sign of life. ``slots_busy`` is the share of the time that slots were in use, from 0 to 1,
        ``average_queue_time`` how long a test waited for its slot. ``time`` has the seconds of all
        attempts together by phase, and ``time_lost_to_isolation`` is all of that but the tests. ``imports``
        and ``fixtures`` tell how often each ran and what that took in all, the slowest first; ``advice``
        what would save some of it.
        """
        times = sorted(self.spawn_times)
        total = sum(self.phases.values())
        running = sum(self._last - began for began in list(self._began.values())) if self._jobs else 0.0
        return {
            "total_processes_spawned": self.processes_spawned,
            "successful_tests": self.counts.passed,
            "failed_tests": self.counts.failed,
            "skipped_tests": self.counts.skipped,
            "failures_by_cause": dict(self.failures_by_cause),
            "average_spawn_time": sum(times) / len(times) if times else 0.0,
            "median_spawn_time": _median(times),
            "slowest_spawn_time": max(times, default=0.0),
            "peak_memory_usage": self.peak_memory,
            "peak_memory_test": self.peak_memory_test,
            "slots_busy": min(1.0, (self._busy + running) / self._slots) if self._slots else 0.0,
            "average_queue_time": self._waited / self._waits if self._waits else 0.0,
            "time": dict(self.phases),
            "time_lost_to_isolation": total - self.phases["tests"],
            "imports": self._imports.as_rows("module"),
            "fixtures": self._fixtures.as_rows("fixture"),
            "advice": advise(self._imports, self._fixtures, total, self._isolation_mode),
        }


def _median(ordered: list[float]) -> float:
    # not the library's, whose import takes as long as to begin and end the processes of several tests
    if not ordered:
        return 0.0
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
