"""Which tests run next, and what becomes of them: no I/O, no clock.

Tests are put into *units*: a unit is what one child runs. Units are put into *groups*: of the units
of one group, one runs at a time, in order, so that groups run side by side and tests that share a
port or a file do not meet. Picking and settling cost O(log n) of the number of groups.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from isolatedunit.engine.attempt import Attempt
from isolatedunit.engine.order import Expectations
from isolatedunit.engine.settlement import Settlement, Unit
from isolatedunit.engine.stages import Fixture, Placement, Stages, Standing
from isolatedunit.engine.stimuli import SpawnFailed, TestRecord
from isolatedunit.events import Event, RetryScheduled, TestFinished, Warned
from isolatedunit.leaks import Policy, tell_leak
from isolatedunit.options import Options
from isolatedunit.results import (
    GOOD,
    MadeBy,
    Note,
    Output,
    PlannedTest,
    TestReport,
    worst_outcome,
)

SPAWN_TRIES = 3
"""How often a child is tried to be made before its tests are reported."""

SPAWN_BACKOFF = 0.2
"""Seconds to wait before the second try to make a child; twice as long before each further one."""


@dataclass(slots=True)
class _Group:
    order: int
    units: deque[Unit] = field(default_factory=deque)
    running: bool = False


class OptionsOf:
    """The options of each test: those of the run, but for what its class or method overrides."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._known: dict[str, Options] = {}

    def __call__(self, test: PlannedTest) -> Options:
        """The options of *test*."""
        if not test.overrides:
            return self._options
        key = repr(sorted(test.overrides.items()))
        if key not in self._known:
            self._known[key] = self._options.with_values(test.overrides, test.id)
        return self._known[key]


class Scheduler:
    """Hands out attempts and settles them."""

    def __init__(
        self, run: str, tests: Sequence[PlannedTest], options: Options, expectations: Expectations | None = None
    ) -> None:
        self.options_of = OptionsOf(options)
        self.cancelled = False
        self.in_haste = False
        self.planned = len(tests)
        self._run = run
        self._unreported = {test.number: test for test in tests}
        self._groups: dict[str, _Group] = {}
        self._ready: list[tuple[int, str]] = []
        self._delayed: list[tuple[float, int, str]] = []
        self._units_of: dict[str, Unit] = {}
        self._stages = Stages()
        self._reported_fixtures: set[str] = set()
        self._covered: set[str] = set()
        self._spawn_budget = 20 + len(tests) // 10
        self._groups_made = 0
        units = list(_units(tests, options, self.options_of))
        if expectations is not None and not expectations.changes_nothing:
            units = _in_order(units, expectations)
        for unit in units:
            self._add(unit)
            for test in unit.tests:
                self._stages.enrol(test, self.options_of(test), options)

    def add(self, test: PlannedTest) -> None:
        """One more test, that may run beside all others."""
        self.planned += 1
        self._spawn_budget += 1
        self._unreported[test.number] = test
        self._add(Unit([test], self.options_of(test), str(test.number)))

    def drop(self, number: int) -> None:
        """Do not begin the test with this number if it has not begun."""
        self._unreported.pop(number, None)
        group = self._groups.get(str(number))
        if group is not None and not group.running:
            group.units.clear()

    def _add(self, unit: Unit) -> None:
        group = self._groups.get(unit.group)
        if group is None:
            group = self._groups[unit.group] = _Group(self._groups_made)
            self._groups_made += 1
            heapq.heappush(self._ready, (group.order, unit.group))
        group.units.append(unit)

    # ---- what runs next

    def next_attempt(self, now: float) -> Attempt | None:
        """An attempt that may begin now, or None."""
        while self._delayed and self._delayed[0][0] <= now:
            _, order, name = heapq.heappop(self._delayed)
            heapq.heappush(self._ready, (order, name))
        while self._ready:
            _, name = heapq.heappop(self._ready)
            unit = self._next_unit(name)
            if unit is not None:
                self._groups[name].running = True
                return self._begin(unit)
            if not self._groups[name].units:
                del self._groups[name]
        return None

    def _next_unit(self, name: str) -> Unit | None:
        """What the group runs next: a unit of its own, or first a fixture that this needs."""
        group = self._groups[name]
        while group.units:
            unit = group.units.popleft()
            if unit.fixture is None:
                unit.tests = [test for test in unit.tests if not self._is_covered(test)]
                if not unit.tests or self.cancelled:
                    continue
            elif not self._stages.wants(unit.fixture):
                continue
            missing = self._stages.missing_for(unit.fixture or unit.tests[0])
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
        stage = fixture.stage
        if fixture.sets_up:
            return Unit(stage.tests, stage.options, group, stage.number, history=stage.history, fixture=fixture)
        return Unit(stage.tests, stage.options, group, fixture=fixture)

    def _begin(self, unit: Unit) -> Attempt:
        fixture, options = unit.fixture, unit.options
        attempt_id = f"{self._run}/{unit.tests[0].number if fixture is None else fixture.name}#{unit.number}"
        if unit.spawn_tries:
            attempt_id += f".{unit.spawn_tries}"
        self._units_of[attempt_id] = unit
        if fixture is None:
            stage = self._stages.of(unit.tests[0])
            if stage is not None:
                stage.running.add(attempt_id)
            return Attempt(attempt_id, unit.tests, options, self.options_of, number=unit.number)
        if self.in_haste:
            options = replace(options, process_timeout=options.terminate_grace)
        attempt = Attempt(attempt_id, (), options, number=unit.number)
        attempt.evidence.expect(fixture.id)
        fixture.stage.running.add(attempt_id)
        return attempt

    def place(self, attempt: Attempt) -> Placement:
        """Where the attempt's child begins."""
        unit = self._units_of[attempt.id]
        if unit.fixture is not None:
            return unit.fixture.placement
        place = self._stages.place(unit.tests[0], unit.options)
        return replace(place, tests=unit.tests)

    @property
    def next_wakeup(self) -> float | None:
        """When something that is put off may begin, None when nothing is."""
        return self._delayed[0][0] if self._delayed and not self.cancelled else None

    @property
    def has_more(self) -> bool:
        """Whether anything is still to begin."""
        return bool(self._ready or self._delayed)

    def cancel(self) -> None:
        """Begin nothing any more, but for what tears down the fixtures that are set up."""
        self.cancelled = True
        self._forget_all()
        for fixture in self._stages.close():
            self._add(self._unit_for(fixture, fixture.name))

    def give_up(self) -> None:
        """Begin nothing any more at all."""
        self._stages.give_up()
        self._forget_all()

    def _forget_all(self) -> None:
        for group in self._groups.values():
            group.units.clear()
        self._groups = {name: group for name, group in self._groups.items() if group.running}
        self._ready.clear()
        self._delayed.clear()

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
        return f"({test.class_id})" in self._covered or f"({test.module})" in self._covered

    # ---- what becomes of it

    def settle(self, attempt: Attempt, outputs: Sequence[Output], made_by: MadeBy, now: float) -> list[Event]:
        """Note what came of *attempt*; the events tell what was decided.

        *outputs* are those of the conclusion's settled tests, and at least one.
        """
        done = Settlement(self._units_of.pop(attempt.id), attempt, outputs, made_by, now)
        if attempt.conclusion.spawn_failure is not None:
            self._settle_spawn_failure(done, attempt.conclusion.spawn_failure)
        else:
            failing, warnings = self._judge_leaks(done)
            self._settle_fixtures(done)
            self._settle_tests(done, failing)
            done.events += warnings
            if attempt.conclusion.remaining:
                self._again(replace(done.unit, tests=attempt.conclusion.remaining, spawn_tries=0))
            if done.unit.fixture is not None:
                self._conclude_fixture(done, done.unit.fixture)
        self._follow_stages(done)
        self._release(done.unit.group, now)
        return done.events

    def _conclude_fixture(self, done: Settlement, fixture: Fixture) -> None:
        if fixture.stage.standing is not Standing.TO_SET_UP:  # as it is when it is tried again
            done.warn(self._stages.conclude(fixture, done.attempt))

    def _follow_stages(self, done: Settlement) -> None:
        """Let those go on that waited for a stage, and tear down what nobody needs any more."""
        fixture = done.unit.fixture
        stage = self._stages.of_class(done.unit.tests[0]) if fixture is None else fixture.stage
        if stage is None:
            return
        for one in (stage, stage.below or stage):
            one.running.discard(done.attempt.id)
        if stage.standing is not Standing.SETTING_UP:
            waiting, stage.waiting = stage.waiting, []
            for name in waiting:
                if name in self._groups:
                    heapq.heappush(self._ready, (self._groups[name].order, name))
        over = self._stages.next_to_tear_down(stage)
        if over is not None:
            self._again(self._unit_for(over, done.unit.group))

    def _again(self, unit: Unit) -> None:
        self._groups[unit.group].units.appendleft(unit)

    def _release(self, name: str, now: float) -> None:
        group = self._groups[name]
        group.running = False
        if group.units and group.units[0].spawn_tries:
            delay = SPAWN_BACKOFF * 2.0 ** (group.units[0].spawn_tries - 1)
            heapq.heappush(self._delayed, (now + delay, group.order, name))
        elif group.units:
            heapq.heappush(self._ready, (group.order, name))
        else:
            del self._groups[name]

    def _settle_spawn_failure(self, done: Settlement, failure: SpawnFailed) -> None:
        tries = done.unit.spawn_tries + 1
        fixture = done.unit.fixture
        if failure.stage_lost:
            done.warn(self._stages.lose(self._stages.used_by(fixture or done.unit.tests[0])))
        # a stage that is lost is set up again, if there is anything to set it up for
        lasting = failure.lasting or (failure.stage_lost and fixture is not None and not fixture.sets_up)
        affordable = failure.stage_lost or self._spawn_budget > 0
        if not lasting and tries < SPAWN_TRIES and affordable and not self.cancelled:
            self._spawn_budget -= not failure.stage_lost
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
            done.warn(self._stages.refuse(fixture, why))
            return
        text = f"{fixture.id} {why}.\n"
        cause = "crash" if failure.stage_lost else "spawn"
        done.attempt.conclusion.fixtures[fixture.id] = ([Note("addError", text, text)], cause)
        self._settle_fixtures(done)
        fixture.stage.standing = Standing.GONE

    def _settle_fixtures(self, done: Settlement) -> None:
        for fixture, (notes, cause) in done.attempt.conclusion.fixtures.items():
            outcome = worst_outcome(notes, succeeded=False)
            if fixture.startswith("setUp"):
                if outcome not in GOOD and self._retry_fixture(done, outcome, cause):
                    continue
                self._covered.add(fixture[fixture.index("(") :])
            if fixture in self._reported_fixtures:
                continue  # unittest tells it once, and another process of ours met it again
            self._reported_fixtures.add(fixture)
            tests = done.unit.tests
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

    def _retry_fixture(self, done: Settlement, outcome: str, cause: str | None) -> bool:
        unit, conclusion = done.unit, done.attempt.conclusion
        left = unit.options.retries + 1 - unit.number
        if left <= 0 or self.cancelled:
            return False
        if unit.fixture is not None:
            unit.fixture.try_again(done.facts(outcome, cause))
            done.events.append(RetryScheduled(done.now, done.attempt.id, unit.fixture.id, outcome, cause, left - 1))
            return True
        if not conclusion.covered:
            return False
        covered, conclusion.covered = conclusion.covered, []
        self._again(replace(unit, tests=covered, number=unit.number + 1))
        done.events.append(RetryScheduled(done.now, done.attempt.id, covered[0].id, outcome, cause, left - 1))
        return True

    def _settle_tests(self, done: Settlement, leaks: list[dict[str, Any]]) -> None:
        settled = done.attempt.conclusion.settled
        for place, (test, record) in enumerate(settled):
            options = self.options_of(test)
            if leaks and place == len(settled) - 1:
                _fail_for_leaks(leaks, record)
            outcome = worst_outcome(record.notes, succeeded=record.succeeded)
            left = options.retries + 1 - done.unit.number
            if outcome in GOOD or left <= 0 or self.cancelled:
                self._finish(done, test, record, done.outputs[place])
                continue
            history = (*done.unit.history, done.facts(outcome, record.cause))
            self._again(Unit([test], options, done.unit.group, done.unit.number + 1, history=history))
            done.events.append(RetryScheduled(done.now, done.attempt.id, test.id, outcome, record.cause, left - 1))

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
        self._stages.finish(test)
        done.events.append(TestFinished(done.now, report))

    def _judge_leaks(self, done: Settlement) -> tuple[list[dict[str, Any]], list[Event]]:
        """What the last test fails for, and the warnings; what is allowed is set aside."""
        evidence = done.attempt.evidence
        leaks = evidence.handle_stats.get("leaks")
        if not leaks:
            return [], []
        settled, fixture = done.attempt.conclusion.settled, done.unit.fixture
        last = settled[-1][0] if settled else done.unit.tests[-1]
        options, name = (self.options_of(last), last.id) if fixture is None else (done.unit.options, fixture.id)
        judged = Policy(options.leaks, options.allowed_leaks).judge(name, leaks)
        evidence.allow_leaks(judged.allowed)
        failed, warned = judged.failed, judged.warned
        if failed and fixture is not None:
            notes, cause = done.attempt.conclusion.fixtures.get(fixture.id, ([], "leak"))
            done.attempt.conclusion.fixtures[fixture.id] = ([*notes, _note_leaks("fixture", failed)], cause)
            failed = []
        elif not settled:  # a fixture failed, and there is no test that could be charged with them
            failed, warned = [], warned + failed
        what = "; ".join(map(tell_leak, warned))
        return failed, [Warned(done.now, f"{name} left behind: {what}")] if warned else []


def _units(tests: Iterable[PlannedTest], options: Options, options_of: OptionsOf) -> Iterator[Unit]:
    """The tests in units, in order: neighbours that share a process become one."""
    neighbours: list[PlannedTest] = []
    shared: object = None
    for test in tests:
        key = _shares_process_with(test, options_of(test))
        if neighbours and key != shared:
            yield _unit(neighbours, options, options_of)
            neighbours = []
        neighbours.append(test)
        shared = key
    if neighbours:
        yield _unit(neighbours, options, options_of)


def _shares_process_with(test: PlannedTest, options: Options) -> object:
    """Neighbours for which this is equal run in one process."""
    process = (options.start_method, options.fork_after, options.memory_limit, options.cpu_limit)
    if options.isolation == "class":
        return process, test.class_id, repr(test.home)
    if options.isolation == "module":
        return process, test.module, repr(test.home)
    if options.isolation == "none":
        return process
    return test.number


def _in_order(units: list[Unit], expectations: Expectations) -> list[Unit]:
    """The units of those groups first that are to begin first; a group's own stay in their order."""
    groups: dict[str, list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)

    def rank(group: list[Unit]) -> tuple[bool, bool, float]:
        return expectations.rank(test for unit in group for test in unit.tests)

    return [unit for group in sorted(groups.values(), key=rank) for unit in group]


def group_of(test: PlannedTest, options: Options) -> str:
    """The group of which one test runs at a time."""
    group = repr(test.home)
    if "module" not in test.home:
        group += test.module  # what was named may hold the tests of many modules
    if options.parallel_by == "class":
        group += test.class_id
    elif options.parallel_by == "test":
        group = str(test.number)
    return group


def _unit(tests: list[PlannedTest], options: Options, options_of: OptionsOf) -> Unit:
    return Unit(tests, options_of(tests[0]), group_of(tests[0], options))


def _fail_for_leaks(leaks: list[dict[str, Any]], record: TestRecord) -> None:
    record.notes.append(_note_leaks("test", leaks))
    if worst_outcome(record.notes, succeeded=record.succeeded) == "failed":
        record.cause = record.cause or "leak"


def _note_leaks(what: str, leaks: list[dict[str, Any]]) -> Note:
    lines = [f"  {tell_leak(leak)}" for leak in leaks]
    text = "\n".join([f"The {what} left {len(lines)} behind:", *lines])
    return Note("addFailure", f"{text}\n", text)
