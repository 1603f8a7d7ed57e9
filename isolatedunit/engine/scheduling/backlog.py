"""Keeps what is still to begin, in the order in which it may: no I/O, no clock.

Units are kept in groups. A group is *ready* when its next unit may begin as soon as there is room for it. Otherwise it
runs, it is *delayed* since a child could not be made, or it is *parked* until a named group has room. A unit that waits
for its retry is *put off*, and its group goes on without it.
"""

from __future__ import annotations

import heapq

from isolatedunit.engine.scheduling.slots import Place, ReadyQueue
from isolatedunit.engine.scheduling.units import Group, Unit

SPAWN_BACKOFF = 0.2
"""Seconds to wait before the second try to make a child; twice as long before each further one."""


class Backlog:
    """The units that are still to begin. Adding and removing costs O(log n) of the number of groups."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._ready = ReadyQueue()
        self._delayed: list[tuple[float, int, str]] = []
        self._put_off: list[tuple[float, int, Unit]] = []
        self._parked: dict[str, list[Place]] = {}
        self._groups_made = 0

    def __bool__(self) -> bool:
        return bool(self._ready or self._delayed or self._put_off or self._parked)

    def __getitem__(self, group: str) -> Group:
        return self._groups[group]

    def add(self, unit: Unit, *, first: bool = False) -> None:
        """Add the unit to its group, which is ready if it is new."""
        group = self._groups.get(unit.group)
        if group is None:
            group = self._groups[unit.group] = Group(self._groups_made)
            self._groups_made += 1
            self._ready.add((group.order, unit.group))
        if first:
            group.units.appendleft(unit)
        else:
            group.units.append(unit)

    def put_back(self, unit: Unit) -> None:
        """Have the unit begin next in its group, which is there."""
        self._groups[unit.group].units.appendleft(unit)

    def retry(self, unit: Unit, now: float) -> None:
        """Have the unit begin next in its group or, with ``retry_delay``, after that time, while others go on."""
        delay = unit.options.retry_delay
        if delay is None:
            self.put_back(unit)
            return
        if unit.options.retry_backoff == "exponential":
            delay *= 2.0 ** (unit.number - 2)
        heapq.heappush(self._put_off, (now + delay, unit.tests[0].number, unit))

    def remove(self, number: int) -> None:
        """Forget the test with this number, which is in a unit and a group of its own, unless it runs."""
        group = self._groups.get(str(number))
        if group is not None and not group.running:
            group.units.clear()
        self._put_off = [entry for entry in self._put_off if entry[1] != number]
        heapq.heapify(self._put_off)

    def clear(self) -> None:
        """Forget all units that have not begun."""
        for group in self._groups.values():
            group.units.clear()
        self._groups = {name: group for name, group in self._groups.items() if group.running}
        for waiting in (self._ready, self._delayed, self._put_off, self._parked):
            waiting.clear()

    # ---- groups

    @property
    def has_ready(self) -> bool:
        """Whether any group is ready."""
        return bool(self._ready)

    @property
    def has_put_off(self) -> bool:
        """Whether any unit waits for its retry."""
        return bool(self._put_off)

    def pop_ready(self) -> Place:
        """Remove and return the place of the ready group that goes first; there has to be one."""
        return self._ready.pop()

    def has_ready_before(self, group: str) -> bool:
        """Whether another group is ready that goes first."""
        return self._ready.has_before((self._groups[group].order, group))

    def make_ready(self, group: str) -> None:
        """The group's next unit may begin; nothing happens if the group is gone."""
        if group in self._groups:
            self._ready.add((self._groups[group].order, group))

    def park(self, group: str, until_free: str) -> None:
        """The group waits until there is a place in the named group *until_free*."""
        self._parked.setdefault(until_free, []).append((self._groups[group].order, group))

    def unpark(self, freed: str) -> None:
        """There is a place in the named group *freed*: those that waited for it are ready."""
        for place in self._parked.pop(freed, ()):
            self._ready.add(place)

    def conclude(self, group: str, now: float) -> None:
        """What ran in the group is over and its next unit may begin, at once or after a while; or the group is done."""
        units = self._groups[group].units
        if units and units[0].spawn_tries:
            delay = SPAWN_BACKOFF * 2.0 ** (units[0].spawn_tries - 1)
            heapq.heappush(self._delayed, (now + delay, self._groups[group].order, group))
        elif units:
            self.make_ready(group)
        else:
            del self._groups[group]

    def remove_if_empty(self, group: str) -> None:
        """Forget the group if no unit is left in it."""
        if not self._groups[group].units:
            del self._groups[group]

    # ---- time

    @property
    def next_time(self) -> float | None:
        """When something that is delayed or put off may begin; None when nothing is."""
        return min((heap[0][0] for heap in (self._delayed, self._put_off) if heap), default=None)

    def wake(self, now: float) -> None:
        """What was to wait until *now* is ready."""
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.add(heapq.heappop(self._delayed)[1:])
        while self._put_off and self._put_off[0][0] <= now:
            self.add(heapq.heappop(self._put_off)[2], first=True)
