"""Counts what runs and calls cost: a listener."""

from __future__ import annotations

from array import array
from typing import Any

from isolatedunit.config.start_method import proven_start_methods
from isolatedunit.model.events import AttemptFinished, Event, RunStarted, TestFinished
from isolatedunit.model.results import Counts
from isolatedunit.reporters.costs import CostTable, IsolationMode, advise
from isolatedunit.reporters.timeline import PHASES, SlotUse, Timeline

_USABLE = proven_start_methods()


class Statistics:
    """The costs of a run, or of several runs and calls, so far. Times are seconds, sizes bytes.

    It adds up the costs of attempts. Outcomes and the use of slots are read from the timelines given to `follow`. The
    figures may be asked for at any time, also while a run is on.
    """

    hears = (AttemptFinished, TestFinished, RunStarted)

    def __init__(self) -> None:
        self.processes_spawned = 0
        self.spawn_times = array("d")
        self.peak_memory = 0
        self.peak_memory_test: str | None = None
        self.phases = dict.fromkeys(PHASES, 0.0)
        self.failures_by_cause: dict[str, int] = {}
        self._imports, self._fixtures = CostTable(), CostTable()
        self._isolation_mode = IsolationMode()
        self._runs = 0
        self._followed: list[tuple[Counts, SlotUse]] = []

    def follow(self, timeline: Timeline) -> None:
        """Add the outcomes of *timeline*'s run, and how it uses its slots."""
        self._followed.append((timeline.counts, timeline.slot_use))

    def handle(self, event: Event) -> None:
        """Add what *event* costs."""
        if isinstance(event, AttemptFinished):
            self._add_attempt(event)
        elif isinstance(event, TestFinished):
            cause = event.report.cause
            if cause is not None:
                self.failures_by_cause[cause] = self.failures_by_cause.get(cause, 0) + 1
        elif isinstance(event, RunStarted):
            self._isolation_mode = IsolationMode(event.isolation, event.start_method, event.fork_after, _USABLE)
            self._runs += 1

    def _add_attempt(self, event: AttemptFinished) -> None:
        self.processes_spawned += 1
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

        *average*, *median* and *slowest* ``_spawn_time`` are measured from the order to start a process to
        its first sign of life. ``slots_busy`` is the share of time in which slots were in use, from 0 to 1, and
        ``average_queue_time`` is how long a test waited for its slot. ``time`` has the seconds of all
        attempts together by phase, and ``time_lost_to_isolation`` is all of that except the tests. ``imports``
        and ``fixtures`` say how often each ran and how long that took in total, the slowest first; ``advice``
        says what would save time.
        """
        times = sorted(self.spawn_times)
        total = sum(self.phases.values())
        followed = list(self._followed)  # another thread may start a run
        counts, uses = [pair[0] for pair in followed], [pair[1] for pair in followed]
        offered, busy = sum(use.offered for use in uses), sum(use.busy for use in uses)
        waited, waits = sum(use.waited for use in uses), sum(use.waits for use in uses)
        return {
            "total_processes_spawned": self.processes_spawned,
            "successful_tests": sum(one_run.passed for one_run in counts),
            "failed_tests": sum(one_run.failed for one_run in counts),
            "skipped_tests": sum(one_run.skipped for one_run in counts),
            "failures_by_cause": dict(self.failures_by_cause),
            "average_spawn_time": sum(times) / len(times) if times else 0.0,
            "median_spawn_time": _median(times),
            "slowest_spawn_time": max(times, default=0.0),
            "peak_memory_usage": self.peak_memory,
            "peak_memory_test": self.peak_memory_test,
            "slots_busy": min(1.0, busy / offered) if offered else 0.0,
            "average_queue_time": waited / waits if waits else 0.0,
            "time": dict(self.phases),
            "time_lost_to_isolation": total - self.phases["tests"],
            "imports": self._imports.as_rows("module"),
            "fixtures": self._fixtures.as_rows("fixture"),
            "advice": advise(self._imports, self._fixtures, total, self._isolation_mode),
        }


def _median(ordered: list[float]) -> float:
    # not the standard library's, whose import takes as long as starting and ending the processes of several tests
    if not ordered:
        return 0.0
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
