"""What processes use, as plain values."""

from __future__ import annotations

from isolatedunit.model.records import record


@record(frozen=True)
class Usage:
    """What several processes use together: *rss* in bytes, *cpu_time* in seconds, and the number of *processes*."""

    rss: int = 0
    cpu_time: float = 0.0
    processes: int = 0


@record(frozen=True)
class Condition:
    """How a process fares at one moment, all times in seconds since it began.

    *state* is psutil's word for its main thread, *main_cpu* what that has used and *all_cpu* what all its
    threads have; *waited* how long the main thread was ready and had no processor, None where nobody knows.
    *waited_below* is the same for what it may wait for: its other threads, and the processes that it started, one after
    another.
    """

    state: str
    main_cpu: float
    all_cpu: float
    waited: float | None
    waited_below: float = 0.0

    @property
    def longest_wait(self) -> float:
        """How long it waited for a processor, itself or for another that did; 0 where nobody knows."""
        return max(self.waited or 0.0, self.waited_below)
