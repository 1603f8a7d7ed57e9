"""Counts what a run costs: a listener."""

from __future__ import annotations

from typing import Any

from isolatedunit.events import AttemptFinished, Event, TestFinished
from isolatedunit.results import Counts


class Statistics:
    """What a run, or several with the same statistics, has cost so far. Seconds and bytes."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.processes_spawned = 0
        self.spawn_times = 0.0
        self.spawns_timed = 0
        self.slowest_spawn = 0.0
        self.peak_memory = 0
        self.peak_memory_test: str | None = None

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        if isinstance(event, TestFinished):
            self.counts.add(event.report)
        elif isinstance(event, AttemptFinished):
            self._count_attempt(event)

    def _count_attempt(self, event: AttemptFinished) -> None:
        self.processes_spawned += 1
        if event.spawn_time is not None:
            self.spawns_timed += 1
            self.spawn_times += event.spawn_time
            self.slowest_spawn = max(self.slowest_spawn, event.spawn_time)
        if event.tests and (event.peak_rss or 0) > self.peak_memory:
            self.peak_memory = event.peak_rss or 0
            self.peak_memory_test = event.tests[0]

    @property
    def average_spawn_time(self) -> float:
        """Mean seconds from the order to make a child to its first sign of life."""
        return self.spawn_times / self.spawns_timed if self.spawns_timed else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "total_processes_spawned": self.processes_spawned,
            "successful_tests": self.counts.passed,
            "failed_tests": self.counts.failed,
            "skipped_tests": self.counts.skipped,
            "average_spawn_time": self.average_spawn_time,
            "slowest_spawn_time": self.slowest_spawn,
            "peak_memory_usage": self.peak_memory,
            "peak_memory_test": self.peak_memory_test,
        }
