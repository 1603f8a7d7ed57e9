"""Which tests run next, and what becomes of them: no I/O, no clock.

Tests are put into *units*: a unit is what one child runs. Units are put into *groups*: of the units
of one group, one runs at a time, in order, so that groups run side by side and tests that share a
port or a file do not meet. Picking and settling cost O(log n) of the number of groups. (These are not
the groups that users name: `isolatedunit.engine.scheduling.slots` knows those.)
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import SpawnFailed, TestRecord
from isolatedunit.engine.scheduling.fixtures import Fixture, FixtureScopes, Placement, Standing
from isolatedunit.engine.scheduling.lookahead import Lookahead
from isolatedunit.engine.scheduling.memory import Admission
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.settlement import (
    Settlement,
    fail_for_leaks,
    fail_if_flaky,
    judge_leaks,
    retries_left,
)
from isolatedunit.engine.scheduling.slots import ORDINARY, Needs, ReadyQueue, SlotPool
from isolatedunit.engine.scheduling.units import Group, OptionsOf, Unit, attempt_at, in_order, units_of
from isolatedunit.model.events import Event, TestFinished
from isolatedunit.model.results import (
    GOOD,
    PASSING,
    Note,
    Output,
    PlannedTest,
    SpawnInfo,
    TestReport,
    worst_outcome,
)

SPAWN_TRIES = 3
"""How often a child is tried to be made before its tests are reported."""

SPAWN_BACKOFF = 0.2
"""Seconds to wait before the second try to make a child; twice as long before each further one."""


class Scheduler:
    """Hands out attempts and settles them. With *slots*, it hands out no more than there are."""

    def __init__(
        self,
        run: str,
        tests: Sequence[PlannedTest],
        options: Options,
        expectations: Expectations | None = None,
        slots: int | None = None,
    ) -> None:
        self.options_of = OptionsOf(options)
        self.cancelled = False
        self.in_haste = False
        self.planned = len(tests)
        self._run = run
        self._unreported = {test.number: test for test in tests}
        self._groups: dict[str, Group] = {}
        self._ready = ReadyQueue()
        self._delayed: list[tuple[float, int, str]] = []
        self._put_off: list[tuple[float, int, Unit]] = []
        self._parked: dict[str, list[tuple[int, str]]] = {}
        self._slots = SlotPool(slots, dict(options.groups))
        self.admission = Admission({} if expectations is None else expectations.peaks)
        self._units_of: dict[str, Unit] = {}
        self._in_hand = 0
        self._scopes = FixtureScopes()
        self.lookahead = Lookahead(options)
        self._reported_fixtures: set[tuple[int, str]] = set()
        self._covered: set[tuple[int, str]] = set()
        self._spawn_budget = 20 + len(tests) // 10
        self._groups_made = 0
        units = list(units_of(tests, options, self.options_of))
        for unit in in_order(units, options, expectations, slots):
            self._add(unit)
            for test in unit.tests:
                self._scopes.enrol(test, self.options_of(test), options)

    def add(self, test: PlannedTest) -> None:
        """One more test, that may run beside all others."""
        self.planned += 1
        self._spawn_budget += 1
        self._unreported[test.number] = test
        options = self.options_of(test)
        self._add(Unit([test], options, str(test.number), Needs.of([options])))

    def drop(self, number: int) -> None:
        """Do not begin the test with this number if it has not begun."""
        self._unreported.pop(number, None)
        group = self._groups.get(str(number))
        if group is not None and not group.running:
            group.units.clear()
        self._put_off = [one for one in self._put_off if one[1] != number]
        heapq.heapify(self._put_off)

    def _add(self, unit: Unit, *, first: bool = False) -> None:
        group = self._groups.get(unit.group)
        if group is None:
            group = self._groups[unit.group] = Group(self._groups_made)
            self._groups_made += 1
            self._ready.add((group.order, unit.group))
        if first:
            group.units.appendleft(unit)
        else:
            group.units.append(unit)

    # ---- what runs next

    def next_attempt(self, now: float) -> Attempt | None:
        """An attempt that may begin now, or None."""
        self._take_up(now)
        return self._ordered_attempt() or self._next_attempt(now)

    def _next_attempt(self, now: float) -> Attempt | None:
        if self.admission.has_parked and self._slots.has(ORDINARY):
            fitting = self.admission.take_fitting(now)
            if fitting is not None:
                self._ready.add(fitting)
            elif self.admission.wants_look:
                return None
        while self._ready:
            place = self._ready.take()
            group = self._groups[place[1]]
            unit = self._next_unit(place[1])
            if unit is None:
                if not group.units:
                    del self._groups[place[1]]
                continue
            full = self._slots.full_group(unit.needs)
            has_slots = full is None and self._slots.has(unit.needs)
            memory = self.admission.need_of(unit.tests) if has_slots and unit.fixture is None else 0
            if has_slots and self.admission.admits(memory, now):
                group.running = True
                return self._begin(unit, memory)
            group.units.appendleft(unit)
            if full is not None:
                self._parked.setdefault(full, []).append(place)
            elif has_slots and not self.admission.wants_look:
                self.admission.park(place, memory)
            else:
                self._ready.add(place)
                return None
        return None

    def _ordered_attempt(self) -> Attempt | None:
        """The attempt that was ordered, and whose slot is free now."""
        while self.lookahead.is_due:
            unit, attempt = self.lookahead.take()
            group = self._groups[unit.group]
            if group.units[0] is unit and not self._is_covered(unit.tests[0]):
                group.units.popleft()
                group.running = True
                return self._begin(unit, 0, attempt)
            self.lookahead.cancelled.append(attempt)
            self._ready.add((group.order, unit.group))
        return None

    def _take_up(self, now: float) -> None:
        """What was to wait until now is ready."""
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.add(heapq.heappop(self._delayed)[1:])
        while self._put_off and self._put_off[0][0] <= now:
            self._add(heapq.heappop(self._put_off)[2], first=True)

    def _next_unit(self, name: str) -> Unit | None:
        """What the group runs next: a unit of its own, or first a fixture that this needs."""
        group = self._groups[name]
        while group.units:
            unit = group.units.popleft()
            if unit.fixture is None:
                if self._covered:
                    unit.tests = [test for test in unit.tests if not self._is_covered(test)]
                if not unit.tests or self.cancelled:
                    continue
            elif not self._scopes.wants(unit.fixture):
                continue
            missing = self._scopes.missing_for(unit.fixture or unit.tests[0])
            if missing is None:
                return unit
            group.units.appendleft(unit)
            if missing.standing is Standing.SETTING_UP:
                missing.waiting.append(name)
                return None
            missing.standing = Standing.SETTING_UP
            return self._unit_for(Fixture(missing, "setUp"), name)
        return None

    def _unit_for(self, fixture: Fixture, group: str) -> Unit:
        scope = fixture.scope
        needs = Needs.of([scope.options])
        if fixture.sets_up:
            return Unit(scope.tests, scope.options, group, needs, scope.number, history=scope.history, fixture=fixture)
        return Unit(scope.tests, scope.options, group, needs, fixture=fixture)

    def _begin(self, unit: Unit, memory: int, attempt: Attempt | None = None) -> Attempt:
        self._slots.take(unit.needs)
        attempt = attempt or attempt_at(unit, self._run, self.options_of, in_haste=self.in_haste)
        self._units_of[attempt.id] = unit
        self.admission.begin(attempt.id, memory)
        self._in_hand += 0 if unit.fixture is not None else len(unit.tests)
        scope = self._scopes.of(unit.tests[0]) if unit.fixture is None else unit.fixture.scope
        if scope is not None:
            scope.running.add(attempt.id)
        return attempt

    def successor_of(self, attempt: Attempt) -> Attempt | None:
        """What is to be ordered now, to follow *attempt* in its slot; `next_attempt` gives it then."""
        unit = self._units_of[attempt.id]
        group = self._groups[unit.group]
        if self.cancelled or self._put_off or not group.units or self.admission.has_parked:
            return None
        following = group.units[0]
        others_first = self._ready.has_before((group.order, unit.group))
        if others_first or not self.lookahead.allows(unit, following, self.options_of):
            return None
        if self._scopes.of(following.tests[0]) is not None or self.admission.need_of(following.tests):
            return None
        successor = attempt_at(following, self._run, self.options_of)
        self.lookahead.note(following, successor)
        return successor

    def cancel_successor_of(self, attempt: Attempt) -> None:
        """It could not be ordered."""
        self.lookahead.cancel(self._units_of[attempt.id].group)

    def place(self, attempt: Attempt) -> Placement:
        """Where the attempt's child begins."""
        unit = self._units_of.get(attempt.id)  # one that is ordered has none yet, and is no fixture
        if unit is not None and unit.fixture is not None:
            return unit.fixture.placement
        place = self._scopes.place(attempt.tests[0], attempt.options)
        return replace(place, tests=attempt.tests)

    @property
    def next_wakeup(self) -> float | None:
        """When something that is put off may begin, None when nothing is."""
        waiting = [heap[0][0] for heap in (self._delayed, self._put_off) if heap]
        look = self.admission.next_look
        if look is not None and self._slots.has(ORDINARY):
            waiting.append(look)
        return min(waiting) if waiting and not self.cancelled else None

    @property
    def has_more(self) -> bool:
        """Whether anything is still to begin."""
        waiting = self._ready or self._delayed or self._put_off or self._parked or self.admission.has_parked
        return bool(waiting or self.lookahead.is_due)

    @property
    def unbegun(self) -> int:
        """How many tests are neither reported nor run now, those that a fixture's failure covers included."""
        return 0 if self.cancelled else max(0, len(self._unreported) - self._in_hand)

    @property
    def not_run(self) -> list[PlannedTest]:
        """After `cancel`, when nothing runs any more: the tests that were planned and of which nothing was told."""
        return [test for test in self._unreported.values() if not self._is_covered(test)]

    def cancel(self) -> None:
        """Begin nothing any more, but for what tears down the fixtures that are set up."""
        self.cancelled = True
        self._forget_all()
        for fixture in self._scopes.close():
            self._add(self._unit_for(fixture, fixture.name))

    def give_up(self) -> None:
        """Begin nothing any more at all."""
        self._scopes.give_up()
        self._forget_all()

    def _forget_all(self) -> None:
        self.lookahead.cancel_all()
        for group in self._groups.values():
            group.units.clear()
        self._groups = {name: group for name, group in self._groups.items() if group.running}
        for waiting in (self._ready, self._delayed, self._put_off, self._parked, self.admission):
            waiting.clear()

    def report_missing(self) -> list[TestReport]:
        """Reports on the tests that were planned and neither reported nor covered by a fixture.

        There are none, unless isolatedunit has a bug; but no run is green on that assumption.
        """
        text = "The test was planned and never reported. This is a bug of isolatedunit."
        return [
            TestReport(test.id, "error", notes=(Note("addError", text, text),), planned=test, place=test.number)
            for test in self._unreported.values()
            if not self._is_covered(test)
        ]

    def _is_covered(self, test: PlannedTest) -> bool:
        return bool(self._covered) and any(
            (test.turn, f"({name})") in self._covered for name in (test.class_id, test.module)
        )

    # ---- what becomes of it

    def settle(self, attempt: Attempt, outputs: Sequence[Output], spawn_info: SpawnInfo, now: float) -> list[Event]:
        """Note what came of *attempt*; the events tell what was decided.

        *outputs* are those of the conclusion's settled tests, and at least one.
        """
        done = Settlement(self._units_of.pop(attempt.id), attempt, outputs, spawn_info, now)
        self.admission.end(attempt.id)
        self._in_hand -= 0 if done.unit.fixture is not None else len(done.unit.tests)
        if attempt.conclusion.spawn_failure is not None:
            self._settle_spawn_failure(done, attempt.conclusion.spawn_failure)
        else:
            failing, warnings = judge_leaks(done, self.options_of)
            self._settle_fixtures(done)
            self._settle_tests(done, failing)
            done.events += warnings
            remaining = attempt.conclusion.remaining
            if remaining:
                # a child may say that it has done the second test and not the first: an id is for one attempt only
                repeated = done.unit.repeated + (remaining[0] is done.unit.tests[0])
                self._again(replace(done.unit, tests=remaining, spawn_tries=0, repeated=repeated))
            if done.unit.fixture is not None:
                self._conclude_fixture(done, done.unit.fixture)
        self._follow_scopes(done)
        self._release(done.unit, now)
        return done.events

    def _conclude_fixture(self, done: Settlement, fixture: Fixture) -> None:
        if fixture.scope.standing is not Standing.TO_SET_UP:  # as it is when it is tried again
            done.warn(self._scopes.conclude(fixture, done.attempt))

    def _follow_scopes(self, done: Settlement) -> None:
        """Let those go on that waited for a stage, and tear down what nobody needs any more."""
        fixture = done.unit.fixture
        scope = self._scopes.of_class(done.unit.tests[0]) if fixture is None else fixture.scope
        if scope is None:
            return
        for one in (scope, scope.below or scope):
            one.running.discard(done.attempt.id)
        if scope.standing is not Standing.SETTING_UP:
            waiting, scope.waiting = scope.waiting, []
            for name in waiting:
                if name in self._groups:
                    self._ready.add((self._groups[name].order, name))
        over = self._scopes.next_to_tear_down(scope)
        if over is not None:
            self._again(self._unit_for(over, done.unit.group))

    def _again(self, unit: Unit) -> None:
        self._groups[unit.group].units.appendleft(unit)

    def _try_again(self, unit: Unit, now: float) -> None:
        """Put the unit back for another try, at once or, if the test says so, after a while, when others may go on."""
        delay = unit.options.retry_delay
        if delay is None:
            self._again(unit)
            return
        if unit.options.retry_backoff == "exponential":
            delay *= 2.0 ** (unit.number - 2)
        heapq.heappush(self._put_off, (now + delay, unit.tests[0].number, unit))

    def _release(self, unit: Unit, now: float) -> None:
        self._slots.give_back(unit.needs)
        for freed in unit.needs.groups:
            for place in self._parked.pop(freed, ()):
                self._ready.add(place)
        name = unit.group
        group = self._groups[name]
        group.running = False
        if self.lookahead.conclude(name, group.units[0] if group.units else None):
            return
        if group.units and group.units[0].spawn_tries:
            delay = SPAWN_BACKOFF * 2.0 ** (group.units[0].spawn_tries - 1)
            heapq.heappush(self._delayed, (now + delay, group.order, name))
        elif group.units:
            self._ready.add((group.order, name))
        else:
            del self._groups[name]

    def _settle_spawn_failure(self, done: Settlement, failure: SpawnFailed) -> None:
        tries = done.unit.spawn_tries + 1
        fixture = done.unit.fixture
        if failure.fixtures_lost:
            done.warn(self._scopes.lose(self._scopes.used_by(fixture or done.unit.tests[0])))
        # a stage that is lost is set up again, if there is anything to set it up for
        lasting = failure.lasting or (failure.fixtures_lost and fixture is not None and not fixture.sets_up)
        affordable = failure.fixtures_lost or self._spawn_budget > 0
        if not lasting and tries < SPAWN_TRIES and affordable and not self.cancelled:
            self._spawn_budget -= not failure.fixtures_lost
            self._again(replace(done.unit, spawn_tries=tries))
            return
        often = "" if tries == 1 else f" ({tries} tries)"
        text = f"The test could not be started{often}: {failure.text}.\n"
        if fixture is not None:
            self._do_without_fixture(done, fixture, f"could not be run{often}: {failure.text}", failure)
            return
        for test in done.unit.tests:
            self._finish(done, test, TestRecord(notes=[Note("addError", text, text)], cause="spawn"), done.outputs[0])

    def _do_without_fixture(self, done: Settlement, fixture: Fixture, why: str, failure: SpawnFailed) -> None:
        if fixture.sets_up:
            done.warn(self._scopes.refuse(fixture, why))
            return
        text = f"{fixture.id} {why}.\n"
        cause = "crash" if failure.fixtures_lost else "spawn"
        done.attempt.conclusion.fixtures[fixture.id] = ([Note("addError", text, text)], cause)
        self._settle_fixtures(done)
        fixture.scope.standing = Standing.GONE

    def _settle_fixtures(self, done: Settlement) -> None:
        tests = done.unit.tests
        turn = tests[0].turn if tests else 0
        for fixture, (notes, cause) in done.attempt.conclusion.fixtures.items():
            outcome = worst_outcome(notes, succeeded=False)
            if fixture.startswith("setUp"):
                if outcome not in GOOD and self._retry_fixture(done, fixture, notes, cause):
                    continue
                # a child speaks for the class and the module of its own tests, and for no others
                name = fixture.partition(" ")[2]
                if any(name in (f"({test.class_id})", f"({test.module})") for test in tests):
                    self._covered.add((turn, name))
            if (turn, fixture) in self._reported_fixtures:
                continue  # unittest tells it once, and another process of ours met it again
            self._reported_fixtures.add((turn, fixture))
            report = TestReport(
                id=fixture,
                outcome=outcome,
                cause=cause,
                notes=tuple(notes),
                counted=False,
                stdout=done.outputs[0].stdout,
                stderr=done.outputs[0].stderr,
                attempts=(*done.unit.history, done.facts(outcome, cause)),
                place=tests[0].number - 0.5 if fixture.startswith("setUp") else tests[-1].number + 0.5,
            )
            done.events.append(TestFinished(done.now, report))

    def _retry_fixture(self, done: Settlement, fixture: str, notes: Sequence[Note], cause: str | None) -> bool:
        unit, conclusion = done.unit, done.attempt.conclusion
        outcome = worst_outcome(notes, succeeded=False)
        left = retries_left(unit.options, unit.number, outcome, cause)
        if left <= 0 or self.cancelled:
            return False
        if unit.fixture is not None:
            unit.fixture.try_again(done.facts(outcome, cause))
            done.tell_retry(fixture, notes, outcome, cause, left - 1, fixture=fixture)
            return True
        if not conclusion.covered:
            return False
        covered, conclusion.covered = conclusion.covered, []
        self._try_again(replace(unit, tests=covered, number=unit.number + 1), done.now)
        done.tell_retry(covered[0].id, notes, outcome, cause, left - 1, fixture=fixture)
        return True

    def _settle_tests(self, done: Settlement, leaks: list[dict[str, Any]]) -> None:
        settled = done.attempt.conclusion.settled
        for place, (test, record) in enumerate(settled):
            options = self.options_of(test)
            if leaks and place == len(settled) - 1:
                fail_for_leaks(leaks, record)
            if options.memory_limit is not None and any(note.exception == "MemoryError" for note in record.notes):
                record.cause = record.cause or "memory"  # the kernel gave it no more than that
            outcome = worst_outcome(record.notes, succeeded=record.succeeded)
            left = retries_left(options, done.unit.number, outcome, record.cause)
            if outcome in GOOD or left <= 0 or self.cancelled:
                if outcome in PASSING and options.flaky == "fail":
                    fail_if_flaky(done.unit.history, record)
                self._finish(done, test, record, done.outputs[place])
                continue
            history = (*done.unit.history, done.facts(outcome, record.cause))
            again = Unit([test], options, done.unit.group, Needs.of([options]), done.unit.number + 1, history=history)
            self._try_again(again, done.now)
            done.tell_retry(test.id, record.notes, outcome, record.cause, left - 1, place)

    def _finish(self, done: Settlement, test: PlannedTest, record: TestRecord, output: Output) -> None:
        outcome = worst_outcome(record.notes, succeeded=record.succeeded)
        report = TestReport(
            id=test.id,
            outcome=outcome,
            cause=record.cause,
            duration=record.duration,
            notes=tuple(record.notes),
            counted=record.counted,
            succeeded=record.succeeded,
            stdout=output.stdout,
            stderr=output.stderr,
            attempts=(*done.unit.history, done.facts(outcome, record.cause)),
            planned=test,
            place=test.number,
            returned=done.attempt.evidence.returned,
            session=done.attempt.evidence.session,
        )
        self._unreported.pop(test.number, None)
        self._scopes.finish(test)
        done.events.append(TestFinished(done.now, report))
