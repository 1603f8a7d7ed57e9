"""How long something that a test left behind gets to end by itself: on a busy machine as long as on an idle one."""

from __future__ import annotations

import os
import time

from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LEFTOVER_GRACE = 0.2
"""Seconds that a process left behind by a test gets to end by itself, on an idle machine."""

WAITS = float("inf")
"""What `times_waited` may return of a thread that waits for a processor now."""

_NANOSECONDS = 1e9


def leftover_grace(cleanup_timeout: float | None) -> float:
    """The longest grace, in seconds, of a process left behind by a test.

    It is at most half of *cleanup_timeout*, because the test's own process is not reported as gone before.
    """
    grace = LEFTOVER_GRACE * processes.load_per_processor()
    return grace if cleanup_timeout is None else min(grace, cleanup_timeout / 2)


class Grace:
    """Begins now, and is over after *seconds*, not counting those in which a process waited for a processor.

    *ask* returns for how long each thread has waited for one so far, as `times_waited` does; the one that has waited
    longest since then counts. The grace never takes longer than *longest* seconds; it takes that long where the system
    does not say who waits.
    """

    def __init__(
        self,
        seconds: float,
        longest: float,
        ask: Callable[[], dict[str, float] | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._longest = longest
        self._ask = ask
        self._clock = clock
        self._began = clock()
        waited = ask()
        # of what waits just now it is not known for how long it had waited before: all of that counts
        self._waited = None if waited is None else {one: time for one, time in waited.items() if time < WAITS}

    def is_over(self) -> bool:
        """Whether it is over."""
        elapsed = self._clock() - self._began
        if elapsed >= self._longest:
            return True
        if elapsed < self._seconds or self._waited is None:
            return False
        waited = self._ask() or {}
        longest_wait = max((time - self._waited.get(one, 0.0) for one, time in waited.items()), default=0.0)
        return elapsed >= self._seconds + longest_wait


def times_waited(process_ids: Iterable[int], *, ready: float | None = None) -> dict[str, float] | None:
    """For each thread of these processes and of all below them, how many seconds it has waited for a processor.

    The system counts a wait only once it is over: *ready* is what to return of another process's thread that waits now.
    None where the system does not say any of this.
    """
    if not os.path.exists("/proc/self/schedstat"):
        return None
    found: dict[str, float] = {}
    for process_id in {below for one in process_ids for below in (one, *processes.ids_below(one))}:
        try:
            for thread in os.listdir(f"/proc/{process_id}/task"):
                folder = f"/proc/{process_id}/task/{thread}"
                with open(f"{folder}/schedstat", "rb") as file:
                    found[thread] = int(file.read().split()[1]) / _NANOSECONDS
                if ready is not None and process_id != os.getpid() and _is_ready(folder):
                    found[thread] = ready
        except (OSError, ValueError, IndexError):  # it has ended
            continue
    return found


def _is_ready(folder: str) -> bool:
    with open(f"{folder}/stat", "rb") as file:
        return file.read().rpartition(b") ")[2][:1] == b"R"
