"""Decides what may run beside what: slots, named groups, exclusive tests. No I/O, no clock.

Each process that runs has a number: the lowest that no other has, from 1 on. So there are never more numbers than
slots, and what a suite keeps for each number (a database, a range of ports) is used by one process at a time.

First come, first served: if a test needs more slots than are free, or all of them, nothing
else begins until it fits, since it might wait for ever otherwise. A named group that is full holds up
only its own members.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping

from isolatedunit.config.options import Options
from isolatedunit.model.records import record

UNBOUNDED = 2**31


@record(frozen=True)
class Needs:
    """What the tests of one process need: *slots*, a place in each of *groups*, and with *exclusive*, to run alone."""

    slots: int = 1
    groups: tuple[str, ...] = ()
    exclusive: bool = False

    @classmethod
    def of(cls, options: list[Options]) -> Needs:
        """What tests with these options need if they share a process."""
        if len(options) == 1:
            only = options[0]
            if only.group is None and not only.exclusive and only.slots == 1:
                return ORDINARY
        return cls(
            max(of_test.slots for of_test in options),
            tuple(sorted({of_test.group for of_test in options if of_test.group is not None})),
            any(of_test.exclusive for of_test in options),
        )


ORDINARY = Needs()


class SlotPool:
    """The free *slots*, None if the caller counts them, and the free places in named groups of the sizes *limits*.

    *first_number* is that of the first process.
    """

    def __init__(
        self, slots: int | None = None, limits: Mapping[str, int] | None = None, first_number: int = 1
    ) -> None:
        self._slots = UNBOUNDED if slots is None else slots
        self._limits = dict(limits or {})
        self._used = 0
        self._running = 0
        self._is_taken = False
        self._members: dict[str, int] = {}
        self._freed: list[int] = []
        self._numbers = first_number - 1

    def full_group(self, needs: Needs) -> str | None:
        """The first of the groups that is full now; None if none is."""
        for name in needs.groups:
            if self._members.get(name, 0) >= self._limits.get(name, 1):
                return name
        return None

    def has(self, needs: Needs) -> bool:
        """Whether there are free slots for this now."""
        if self._is_taken or (needs.exclusive and self._running):
            return False
        return self._used + min(needs.slots, self._slots) <= self._slots

    def occupy(self, needs: Needs, number: int = 0) -> int:
        """Take what the tests of a process need that begins; returns its number.

        That is *number* if it was promised to this process, which begins before all others when it is free again.
        """
        self._running += 1
        self._used += min(needs.slots, self._slots)
        self._is_taken = needs.exclusive
        for name in needs.groups:
            self._members[name] = self._members.get(name, 0) + 1
        if number:
            self._freed.remove(number)
            heapq.heapify(self._freed)
            return number
        if self._freed:
            return heapq.heappop(self._freed)
        self._numbers += 1
        return self._numbers

    def release(self, needs: Needs, number: int) -> None:
        """Give back what the tests of a process needed that is over, and its number."""
        heapq.heappush(self._freed, number)
        self._running -= 1
        self._used -= min(needs.slots, self._slots)
        self._is_taken = False
        for name in needs.groups:
            self._members[name] -= 1


Place = tuple[int, str]
"""The order of a group, and its name."""


class ReadyQueue:
    """A queue of places, of which the lowest comes first.

    If there are very many, as with tests that may all run side by side, nearly all were added in order. Those need
    no heap, in which each step down costs a miss of the processor's cache.
    """

    def __init__(self) -> None:
        self._in_order: deque[Place] = deque()
        self._others: list[Place] = []

    def __bool__(self) -> bool:
        return bool(self._in_order or self._others)

    def add(self, place: Place) -> None:
        """Add the place."""
        if not self._in_order or place > self._in_order[-1]:
            self._in_order.append(place)
        else:
            heapq.heappush(self._others, place)

    def has_before(self, place: Place) -> bool:
        """Whether there is a place that comes before this one."""
        return any(line and line[0] < place for line in (self._in_order, self._others))

    def pop(self) -> Place:
        """Remove and return the lowest place; there has to be one."""
        if self._others and not (self._in_order and self._in_order[0] < self._others[0]):
            return heapq.heappop(self._others)
        return self._in_order.popleft()

    def clear(self) -> None:
        """Remove all places."""
        self._in_order.clear()
        self._others.clear()
