"""Which tests have to wait for memory: no I/O, no clock.

A test that is known to be large begins when what it needs is free, besides what those that run are still
expected to take. Others go past it meanwhile. While nothing runs, any test begins: where it does not fit even
so, waiting would not help. How much is free is handed in, when `wants_look` asks for it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping

from isolatedunit.engine.scheduling.slots import Place
from isolatedunit.model.results import PlannedTest

LARGE = 128 * 1024 * 1024
"""Bytes from which on a test may have to wait. What is smaller is not looked at: as many of them as there are
slots fit into any machine that has so many processors."""

MARGIN = 1.1
"""How much more than it used the last time a test is expected to need at most."""

LOOK_INTERVAL = 0.1
"""Seconds for which it holds how much memory was free, but for what has begun and ended since."""


class Admission:
    """Who may begin. *peaks* are the bytes that tests used in past runs, by their ids.

    *wants_look* tells that `note_look` is to be called before the next try. *delayed* is how many had to wait.
    """

    def __init__(self, peaks: Mapping[str, int]) -> None:
        self.wants_look = False
        self.delayed = 0
        self._peaks = {test_id: peak for test_id, peak in peaks.items() if peak >= LARGE}
        self._running = 0
        self._large: dict[str, int] = {}  # attempts that run, and what they need
        self._left: float = 0.0
        self._looked_at = float("-inf")
        self._parked: list[tuple[int, Place]] = []  # what they need, ascending
        self._taken: Place | None = None

    def need_of(self, tests: Iterable[PlannedTest]) -> int:
        """The bytes that a process for these tests is expected to use; 0 where that is little or not known."""
        if not self._peaks:
            return 0
        return int(max((self._peaks.get(test.id, 0) for test in tests), default=0) * MARGIN)

    @property
    def large(self) -> Iterable[str]:
        """The attempts that run and are known to be large: `note_look` is to be told what they use."""
        return self._large.keys()

    @property
    def has_parked(self) -> bool:
        """Whether somebody waits."""
        return bool(self._parked)

    @property
    def next_look(self) -> float | None:
        """When a look may help somebody who waits, though nothing has ended; None when nobody does."""
        return self._looked_at + LOOK_INTERVAL if self._parked else None

    def note_look(self, now: float, free: int | None, used: Mapping[str, int]) -> None:
        """So many bytes are *free* now, None where nobody knows; *used* are those of attempts that are `large`."""
        self.wants_look = False
        self._looked_at = now
        if free is None:
            self._left = float("inf")
        else:
            self._left = free - sum(max(0, need - used.get(name, 0)) for name, need in self._large.items())

    def admits(self, need: int, now: float) -> bool:
        """Whether what needs so many bytes may begin; if not, and `wants_look` is not set then, it is to be parked."""
        if not need or not self._running:
            return True
        if not self._has_seen(now):
            return False
        return need <= self._left

    def _has_seen(self, now: float) -> bool:
        self.wants_look = now - self._looked_at >= LOOK_INTERVAL
        return not self.wants_look

    def begin(self, attempt: str, need: int) -> None:
        """It begins."""
        self._running += 1
        self._taken = None
        if need:
            self._large[attempt] = need
            self._left -= need

    def end(self, attempt: str) -> None:
        """It is over, and all that it used or might have used is free."""
        self._running -= 1
        self._left += self._large.pop(attempt, 0)

    def park(self, place: Place, need: int) -> None:
        """What is at this place of the scheduler's waits until it fits."""
        self.delayed += place != self._taken  # who was about to begin has been counted
        bisect.insort(self._parked, (need, place))

    def pop_fitting(self, now: float) -> Place | None:
        """The largest that waits and fits now, which waits no more; None if there is none, or no telling yet."""
        if not self._parked:
            return None
        fitting = len(self._parked)
        if self._running:
            if not self._has_seen(now):
                return None
            fitting = bisect.bisect_right(self._parked, self._left, key=lambda parked: parked[0])
        if not fitting:
            return None
        self._taken = self._parked.pop(fitting - 1)[1]
        return self._taken

    def clear(self) -> None:
        """Nobody waits any more."""
        self._parked.clear()
        self.wants_look = False
