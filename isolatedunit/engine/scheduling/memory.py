"""Decides which tests have to wait for memory: no I/O, no clock.

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
"""Bytes from which on a test may have to wait. Smaller tests never do: a machine with as many processors as there are
slots has room for that many of them."""

MARGIN = 1.1
"""The most that a test is expected to need, as a multiple of what it used the last time."""

LOOK_INTERVAL = 0.1
"""Seconds for which a look at the free memory holds, corrected by what has begun and ended since."""


class Admission:
    """Decides whether there is memory for a test. *peaks* are the bytes that tests used in past runs, by their ids.

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
        """The bytes that a process for these tests is expected to use; 0 if that is little, or not known."""
        if not self._peaks:
            return 0
        return int(max((self._peaks.get(test.id, 0) for test in tests), default=0) * MARGIN)

    @property
    def large(self) -> Iterable[str]:
        """The attempts that run and are known to be large; `note_look` needs to know what they use."""
        return self._large.keys()

    @property
    def has_parked(self) -> bool:
        """Whether anything waits for memory."""
        return bool(self._parked)

    @property
    def next_look(self) -> float | None:
        """When another look may show enough free memory though nothing has ended; None if nothing waits for memory."""
        return self._looked_at + LOOK_INTERVAL if self._parked else None

    def note_look(self, now: float, free: int | None, used: Mapping[str, int]) -> None:
        """Note how many bytes are *free* now, None if nobody knows, and how many are *used* by each that is `large`."""
        self.wants_look = False
        self._looked_at = now
        if free is None:
            self._left = float("inf")
        else:
            self._left = free - sum(max(0, need - used.get(name, 0)) for name, need in self._large.items())

    def admits(self, need: int, now: float) -> bool:
        """Whether what needs so many bytes may begin; if not, the caller parks it, unless `wants_look` is set."""
        if not need or not self._running:
            return True
        if not self._has_seen(now):
            return False
        return need <= self._left

    def _has_seen(self, now: float) -> bool:
        self.wants_look = now - self._looked_at >= LOOK_INTERVAL
        return not self.wants_look

    def begin(self, attempt: str, need: int) -> None:
        """Note that the attempt begins, and needs so many bytes."""
        self._running += 1
        self._taken = None
        if need:
            self._large[attempt] = need
            self._left -= need

    def end(self, attempt: str) -> None:
        """Note that the attempt is over: all that it used, or might have used, is free."""
        self._running -= 1
        self._left += self._large.pop(attempt, 0)

    def park(self, place: Place, need: int) -> None:
        """Have the group at this place wait until so many bytes are free."""
        self.delayed += place != self._taken  # a group that was about to begin has been counted before
        bisect.insort(self._parked, (need, place))

    def pop_fitting(self, now: float) -> Place | None:
        """Remove and return the largest that fits now; None if nothing does, or if `wants_look` is set."""
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
        """Forget all that waits."""
        self._parked.clear()
        self.wants_look = False
