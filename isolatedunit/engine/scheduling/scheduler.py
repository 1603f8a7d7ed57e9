"""Decides which tests run next: no I/O, no clock.

Tests are put into *units*: a unit is what one child runs. Units are put into *groups*: of the units
of one group, one runs at a time, in order, so that groups run side by side and tests that share a
port or a file do not meet. Picking and settling cost O(log n) of the number of groups. (These are not
the groups that users name: `isolatedunit.engine.scheduling.slots` knows those.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.scheduling.backlog import Backlog
from isolatedunit.engine.scheduling.fixtures import FixtureScopes, Placement, ScopeState
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.engine.scheduling.lookahead import Lookahead
from isolatedunit.engine.scheduling.memory import Admission
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.settlement import Settlement
from isolatedunit.engine.scheduling.settler import Settler
from isolatedunit.engine.scheduling.slots import ORDINARY, Needs, SlotPool
from isolatedunit.engine.scheduling.units import (
    OptionsOf,
    Unit,
    alone_units,
    attempt_at,
    fixture_unit,
    in_order,
    units_of,
)
from isolatedunit.model.events import Event
from isolatedunit.model.results import Note, Output, PlannedTest, SpawnInfo, TestReport

if TYPE_CHECKING:
    from isolatedunit.engine.scheduling.standing import Standings


class Scheduler:
    """Hands out attempts and settles them. With *slots*, it hands out no more than there are.

    *policy* decides what may be ordered ahead; by default it is the one that follows from the *options*. *first_slot*
    is the lowest number of a slot. *standings* decide for tests with ``isolation=auto``, which are alone without them.
    """

    def __init__(
        self,
        run: str,
        tests: Sequence[PlannedTest],
        options: Options,
        expectations: Expectations | None = None,
        slots: int | None = None,
        policy: LatencyPolicy | None = None,
        first_slot: int = 1,
        standings: Standings | None = None,
    ) -> None:
        self.options_of = OptionsOf(options, standings)
        self.in_haste = False
        self.admission = Admission({} if expectations is None else expectations.peaks)
        self.lookahead = Lookahead(policy or LatencyPolicy.of(options))
        self._run = run
        self._standings = standings
        self._backlog = Backlog()
        self._slots = SlotPool(slots, dict(options.groups), first_slot)
        self._scopes = FixtureScopes()
        quarantine = None
        if options.quarantine:
            from isolatedunit.engine.scheduling.quarantine import Quarantine

            quarantine = Quarantine(options.quarantine)
        sharing = None
        if standings is not None:
            from isolatedunit.engine.scheduling.sharing import Sharing

            standings.plan(tests, self.options_of.given)
            sharing = Sharing(standings, self.options_of)
        self._settler = Settler(tests, self.options_of, self._backlog, self._scopes, quarantine, sharing)
        self._units_of: dict[str, Unit] = {}
        self._in_hand = 0
        units = list(units_of(tests, options, self.options_of))
        for unit in in_order(units, options, expectations, slots):
            self._backlog.add(unit)
            for test in unit.tests:
                self._scopes.enrol(test, self.options_of(test), options)

    def add(self, test: PlannedTest) -> None:
        """Run one more test, beside any of the others."""
        self._settler.expect(test)
        options = self.options_of(test)
        self._backlog.add(Unit([test], options, str(test.number), Needs.of([options])))

    def drop(self, number: int) -> None:
        """Do not begin the test with this number, which was added, unless it has begun."""
        self._settler.unreported.pop(number, None)
        self._backlog.remove(number)

    # ---- what runs next

    def next_attempt(self, now: float) -> Attempt | None:
        """An attempt that may begin now, or None."""
        self._backlog.wake(now)
        return self._ordered_attempt() or self._next_attempt(now)

    def _next_attempt(self, now: float) -> Attempt | None:
        if self.admission.has_parked and self._slots.has(ORDINARY):
            fitting = self.admission.pop_fitting(now)
            if fitting is not None:
                self._backlog.make_ready(fitting[1])
            elif self.admission.wants_look:
                return None
        while self._backlog.has_ready:
            place = self._backlog.pop_ready()
            name = place[1]
            unit = self._next_unit(name)
            if unit is None:
                self._backlog.remove_if_empty(name)
                continue
            full = self._slots.full_group(unit.needs)
            has_slots = full is None and self._slots.has(unit.needs)
            memory = self.admission.need_of(unit.tests) if has_slots and unit.fixture is None else 0
            if has_slots and self.admission.admits(memory, now):
                return self._begin(unit, memory)
            self._backlog.put_back(unit)
            if full is not None:
                self._backlog.park(name, full)
            elif has_slots and not self.admission.wants_look:
                self.admission.park(place, memory)
            else:
                self._backlog.make_ready(name)
                return None
        return None

    def _ordered_attempt(self) -> Attempt | None:
        """The attempt that was ordered, and whose slot is free now."""
        while self.lookahead.is_due:
            unit, attempt = self.lookahead.pop_due()
            units = self._backlog[unit.group].units
            if units[0] is unit and not self._settler.covers(unit.tests[0]):
                units.popleft()
                return self._begin(unit, 0, attempt)
            self.lookahead.cancelled.append(attempt)
            self._backlog.make_ready(unit.group)
        return None

    def _next_unit(self, group: str) -> Unit | None:
        """What the group runs next: a unit of its own, or first a fixture that this needs."""
        units = self._backlog[group].units
        while units:
            unit = units.popleft()
            if unit.fixture is None:
                unit.tests = self._settler.without_covered(unit.tests)
                if not unit.tests or self.cancelled:
                    continue
                if unit.is_on_trust and not unit.trial and self.options_of(unit.tests[0]).isolation != "auto":
                    units.extendleft(reversed(alone_units(unit, unit.tests, self.options_of)))
                    continue
            elif not self._scopes.wants(unit.fixture):
                continue
            missing = self._scopes.missing_for(unit.fixture or unit.tests[0])
            if missing is None:
                return unit
            units.appendleft(unit)
            if missing.state is ScopeState.SETTING_UP:
                missing.waiting.append(group)
                return None
            return fixture_unit(missing.begin_set_up(), group)
        return None

    def _begin(self, unit: Unit, memory: int, attempt: Attempt | None = None) -> Attempt:
        self._backlog[unit.group].running = True
        attempt = attempt or attempt_at(unit, self._run, self.options_of, in_haste=self.in_haste)
        attempt.slot = self._slots.occupy(unit.needs, attempt.slot)
        self._units_of[attempt.id] = unit
        self.admission.begin(attempt.id, memory)
        self._in_hand += _reported_by(unit)
        scope = self._scopes.of(unit.tests[0]) if unit.fixture is None else unit.fixture.scope
        if scope is not None:
            scope.running.add(attempt.id)
        return attempt

    def successor_of(self, attempt: Attempt) -> Attempt | None:
        """What is to be ordered now, to follow *attempt* in its slot; `next_attempt` gives it then."""
        unit = self._units_of[attempt.id]
        units = self._backlog[unit.group].units
        if self.cancelled or self._backlog.has_put_off or not units or self.admission.has_parked:
            return None
        following = units[0]
        others_first = self._backlog.has_ready_before(unit.group)
        if others_first or not self.lookahead.allows(unit, following, self.options_of):
            return None
        if self._scopes.of(following.tests[0]) is not None or self.admission.need_of(following.tests):
            return None
        successor = attempt_at(following, self._run, self.options_of)
        successor.slot = attempt.slot
        self.lookahead.note(following, successor)
        return successor

    def cancel_successor_of(self, attempt: Attempt) -> None:
        """The attempt that was to follow this one could not be ordered: it begins like any other."""
        self.lookahead.cancel(self._units_of[attempt.id].group)

    def place(self, attempt: Attempt) -> Placement:
        """Where the attempt's child begins."""
        unit = self._units_of.get(attempt.id)  # one that is ordered has none yet, and is no fixture
        if unit is not None and unit.fixture is not None:
            return unit.fixture.placement
        return self._scopes.place(attempt.tests, attempt.options)

    def imports_of(self, attempt: Attempt) -> list[str]:
        """What the attempt's child imports before its first test, since the tests will."""
        if self._standings is None or attempt.options.isolation != "auto":
            return []
        return self._standings.imports_of(attempt.tests[0])

    @property
    def next_wakeup(self) -> float | None:
        """When something that waits for a time may begin; None when nothing does."""
        look = self.admission.next_look if self._slots.has(ORDINARY) else None
        times = [time for time in (self._backlog.next_time, look) if time is not None]
        return min(times) if times and not self.cancelled else None

    @property
    def has_more(self) -> bool:
        """Whether anything is still to begin."""
        return bool(self._backlog or self.admission.has_parked or self.lookahead.is_due)

    # ---- the end

    @property
    def cancelled(self) -> bool:
        """Whether no further test begins."""
        return self._settler.cancelled

    @property
    def unbegun(self) -> int:
        """How many tests are neither reported nor run now, those that a fixture's failure covers included."""
        return 0 if self.cancelled else max(0, len(self._settler.unreported) - self._in_hand)

    @property
    def not_run(self) -> list[PlannedTest]:
        """The tests that were planned and neither reported nor covered by a fixture, once nothing runs any more."""
        return self._settler.without_covered(self._settler.unreported.values())

    def report_missing(self) -> list[TestReport]:
        """Reports on those that are `not_run` in a run that was not cancelled.

        There are none, unless isolatedunit has a bug; but no run is green on that assumption.
        """
        text = "The test was planned but never reported. This is a bug in isolatedunit."
        return [
            TestReport(test.id, "error", notes=(Note("addError", text, text),), planned=test, place=test.number)
            for test in self.not_run
        ]

    def cancel(self) -> None:
        """Begin nothing any more, but for what tears down the fixtures that are set up."""
        self._settler.cancelled = True
        self._forget_all()
        for fixture in self._scopes.close():
            self._backlog.add(fixture_unit(fixture, fixture.name))

    def give_up(self) -> None:
        """Begin nothing any more at all."""
        self._scopes.give_up()
        self._forget_all()

    def _forget_all(self) -> None:
        self.lookahead.cancel_all()
        self._backlog.clear()
        self.admission.clear()

    # ---- what becomes of it

    def settle(self, attempt: Attempt, outputs: Sequence[Output], spawn_info: SpawnInfo, now: float) -> list[Event]:
        """Note what came of *attempt*; the events tell what was decided.

        *outputs* are those of the conclusion's settled tests, and at least one.
        """
        done = Settlement(self._units_of.pop(attempt.id), attempt, outputs, spawn_info, now)
        self.admission.end(attempt.id)
        self._in_hand -= _reported_by(done.unit)
        self._settler.settle(done)
        self._follow_scopes(done)
        self._release(done.unit, attempt.slot, now)
        return done.events

    def _follow_scopes(self, done: Settlement) -> None:
        """Let those go on that waited for a fixture, and tear down what nobody needs any more."""
        fixture = done.unit.fixture
        scope = self._scopes.of_class(done.unit.tests[0]) if fixture is None else fixture.scope
        if scope is None:
            return
        for used in (scope, scope.below or scope):
            used.running.discard(done.attempt.id)
        if scope.state is not ScopeState.SETTING_UP:
            waiting, scope.waiting = scope.waiting, []
            for group in waiting:
                self._backlog.make_ready(group)
        over = self._scopes.next_to_tear_down(scope)
        if over is not None:
            self._backlog.put_back(fixture_unit(over, done.unit.group))

    def _release(self, unit: Unit, slot: int, now: float) -> None:
        self._slots.release(unit.needs, slot)
        for freed in unit.needs.groups:
            self._backlog.unpark(freed)
        group = self._backlog[unit.group]
        group.running = False
        if not self.lookahead.conclude(unit.group, group.units[0] if group.units else None):
            self._backlog.conclude(unit.group, now)


def _reported_by(unit: Unit) -> int:
    """How many tests the unit is to report."""
    return 0 if unit.fixture is not None or unit.trial else len(unit.tests)
