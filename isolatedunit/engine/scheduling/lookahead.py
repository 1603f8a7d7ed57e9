"""Decides what follows an attempt in its slot, and is ordered before the slot is free: no I/O, no clock.

A template that waits for the runner to say what to fork next is idle meanwhile, for longer than most tests take.
So the next attempt of the same group is ordered while the one before still runs. It begins as soon as that one
is gone, and from then on is an attempt like any other. Nothing is ordered if the next attempt depends on what becomes
of the one before, as with retries, with fixtures, or in a run that ends with its first failure; what options have to
do with that, `isolatedunit.engine.scheduling.latency` decides.

`Lookahead` only decides; `isolatedunit.engine.orders` gives the orders.
"""

from __future__ import annotations

from collections import deque

from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.engine.scheduling.slots import ORDINARY
from isolatedunit.engine.scheduling.units import OptionsOf, Unit
from isolatedunit.model.records import record


@record(frozen=True)
class _Next:
    unit: Unit
    attempt: Attempt


class Lookahead:
    """The attempts that are ordered, at most one for each group. *cancelled* are those that are not wanted any more."""

    def __init__(self, policy: LatencyPolicy) -> None:
        self._policy = policy
        self._next: dict[str, _Next] = {}
        self._due: deque[str] = deque()
        self.cancelled: list[Attempt] = []

    def allows(self, unit: Unit, following: Unit, options_of: OptionsOf) -> bool:
        """Whether *following* is certain to begin when *unit* is over, whatever becomes of that."""
        if unit.group in self._next or not (_is_plain(unit) and _is_plain(following)) or following.tests[0].fixtures:
            return False
        return self._policy.orders_ahead(options_of(unit.tests[0]), options_of(following.tests[0]))

    def note(self, unit: Unit, attempt: Attempt) -> None:
        """Note that this attempt, which will run *unit*, is ordered."""
        self._next[unit.group] = _Next(unit, attempt)

    def conclude(self, group: str, following: Unit | None) -> bool:
        """What ran in the group is over, and *following* is next: whether that was ordered, and begins."""
        ordered = self._next.get(group)
        if ordered is None:
            return False
        if ordered.unit is following:
            self._due.append(group)
            return True
        self.cancel(group)
        return False

    @property
    def is_due(self) -> bool:
        """Whether an ordered attempt begins now, before all others, since its slot is free."""
        return bool(self._due)

    def pop_due(self) -> tuple[Unit, Attempt]:
        """Remove and return the unit that begins now, and the attempt that was ordered for it."""
        ordered = self._next.pop(self._due.popleft())
        return ordered.unit, ordered.attempt

    def cancel(self, group: str) -> None:
        """Cancel what is ordered in this group."""
        self.cancelled.append(self._next.pop(group).attempt)

    def cancel_all(self) -> None:
        """Cancel all that is ordered."""
        self._due.clear()
        for group in list(self._next):
            self.cancel(group)


def _is_plain(unit: Unit) -> bool:
    """Whether the unit is the first attempt at a single test, with no needs of its own."""
    is_first = unit.number == 1 and not unit.spawn_tries and not unit.repeated
    return is_first and unit.fixture is None and len(unit.tests) == 1 and unit.needs is ORDINARY
