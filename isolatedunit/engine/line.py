"""Who is next: groups in a line. No I/O, no clock."""

from __future__ import annotations

import heapq
from collections import deque

Place = tuple[int, str]
"""A group's order, and its name."""


class Line:
    """Places, of which the lowest is taken first.

    Where there are very many, as of tests that may all run side by side, nearly all were added in order: those need
    no heap, in which each step of the way down is a miss of the processor's cache.
    """

    def __init__(self) -> None:
        self._in_order: deque[Place] = deque()
        self._others: list[Place] = []

    def __bool__(self) -> bool:
        return bool(self._in_order or self._others)

    def add(self, place: Place) -> None:
        """It waits from now on."""
        if not self._in_order or place > self._in_order[-1]:
            self._in_order.append(place)
        else:
            heapq.heappush(self._others, place)

    def has_before(self, place: Place) -> bool:
        """Whether somebody waits who is taken before this one."""
        return any(line and line[0] < place for line in (self._in_order, self._others))

    def take(self) -> Place:
        """Take the lowest; there has to be one."""
        if self._others and not (self._in_order and self._in_order[0] < self._others[0]):
            return heapq.heappop(self._others)
        return self._in_order.popleft()

    def clear(self) -> None:
        """Nobody waits any more."""
        self._in_order.clear()
        self._others.clear()
