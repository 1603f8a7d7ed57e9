"""`RunStatistics`, what `IsolatedTestRunner.get_statistics` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isolatedunit.model.mappings import FieldMapping


@dataclass(frozen=True, eq=False)
class RunStatistics(FieldMapping):
    """What runs and calls have cost so far: times in seconds, sizes in bytes. Each field can be read as an item, too.

    `isolatedunit.reporters.statistics.Statistics.as_dict` says what the figures mean.
    """

    total_processes_spawned: int
    successful_tests: int
    failed_tests: int
    skipped_tests: int
    failures_by_cause: dict[str, int]
    average_spawn_time: float
    median_spawn_time: float
    slowest_spawn_time: float
    peak_memory_usage: int
    peak_memory_test: str | None
    slots_busy: float
    average_queue_time: float
    time: dict[str, float]
    time_lost_to_isolation: float
    imports: list[dict[str, Any]]
    fixtures: list[dict[str, Any]]
    advice: list[str]
