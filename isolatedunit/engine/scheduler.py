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
from isolatedunit.engine.stimuli import SpawnFailed, TestRecord
from isolatedunit.events import Event, RetryScheduled, TestFinished, Warned
from isolatedunit.leaks import Policy, tell_leak
from isolatedunit.options import Options
from isolatedunit.results import (
    GOOD,
    AttemptReport,
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
class Unit:
    """What one child runs: *tests*, for the *number*-th time."""

    tests: Sequence[PlannedTest]
    options: Options
    group: str
    number: int = 1
    spawn_tries: int = 0
    history: tuple[AttemptReport, ...] = ()


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
        self.planned = len(tests)
        self._run = run
        self._unreported = {test.number: test for test in tests}
        self._groups: dict[str, _Group] = {}
        self._ready: list[tuple[int, str]] = []
        self._delayed: list[tuple[float, int, str]] = []
        self._units_of: dict[str, Unit] = {}
        self._reported_fixtures: set[str] = set()
        self._covered: set[str] = set()
        self._spawn_budget = 20 + len(tests) // 10
        self._groups_made = 0
        units = list(_units(tests, options, self.options_of))
        if expectations is not None and not expectations.changes_nothing:
            units = _in_order(units, expectations)
        for unit in units:
            self._add(unit)

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
        while self._ready and not self.cancelled:
            _, name = heapq.heappop(self._ready)
            group = self._groups[name]
            while group.units:
                unit = group.units.popleft()
                unit.tests = [test for test in unit.tests if not self._is_covered(test)]
                if unit.tests:
                    group.running = True
                    attempt_id = f"{self._run}/{unit.tests[0].number}#{unit.number}"
                    if unit.spawn_tries:
                        attempt_id += f".{unit.spawn_tries}"
                    self._units_of[attempt_id] = unit
                    return Attempt(attempt_id, unit.tests, unit.options, self.options_of, number=unit.number)
            del self._groups[name]
        return None

    @property
    def next_wakeup(self) -> float | None:
        """When something that is put off may begin, None when nothing is."""
        return self._delayed[0][0] if self._delayed and not self.cancelled else None

    @property
    def has_more(self) -> bool:
        """Whether anything is still to begin."""
        return not self.cancelled and bool(self._ready or self._delayed)

    def cancel(self) -> None:
        """Begin nothing any more."""
        self.cancelled = True

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
        done = _Done(self._units_of.pop(attempt.id), attempt, outputs, made_by, now)
        if attempt.conclusion.spawn_failure is not None:
            self._settle_spawn_failure(done, attempt.conclusion.spawn_failure)
        else:
            self._settle_fixtures(done)
            failing, warnings = self._judge_leaks(done)
            self._settle_tests(done, failing)
            done.events += warnings
            if attempt.conclusion.remaining:
                self._again(replace(done.unit, tests=attempt.conclusion.remaining, spawn_tries=0))
        self._release(done.unit.group, now)
        return done.events

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

    def _settle_spawn_failure(self, done: _Done, failure: SpawnFailed) -> None:
        tries = done.unit.spawn_tries + 1
        if not failure.lasting and tries < SPAWN_TRIES and self._spawn_budget > 0 and not self.cancelled:
            self._spawn_budget -= 1
            self._again(replace(done.unit, spawn_tries=tries))
            return
        often = "" if tries == 1 else f" ({tries} tries)"
        text = f"The test could not be started{often}: {failure.text}.\n"
        for test in done.unit.tests:
            self._finish(done, test, TestRecord(notes=[Note("addError", text, text)], cause="spawn"), done.outputs[0])

    def _settle_fixtures(self, done: _Done) -> None:
        for fixture, (notes, cause) in done.attempt.conclusion.fixtures.items():
            outcome = worst_outcome(notes, succeeded=False)
            if fixture.startswith("setUp"):
                if outcome not in GOOD and self._retry_fixture(done, outcome, cause):
                    continue
                # a child speaks for the class and the module of its own tests, and for no others
                name = fixture.partition(" ")[2]
                if any(name in (f"({test.class_id})", f"({test.module})") for test in done.unit.tests):
                    self._covered.add(name)
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

    def _retry_fixture(self, done: _Done, outcome: str, cause: str | None) -> bool:
        unit, conclusion = done.unit, done.attempt.conclusion
        left = unit.options.retries + 1 - unit.number
        if left <= 0 or not conclusion.covered or self.cancelled:
            return False
        covered, conclusion.covered = conclusion.covered, []
        self._again(replace(unit, tests=covered, number=unit.number + 1))
        done.events.append(RetryScheduled(done.now, done.attempt.id, covered[0].id, outcome, cause, left - 1))
        return True

    def _settle_tests(self, done: _Done, leaks: list[dict[str, Any]]) -> None:
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

    def _finish(self, done: _Done, test: PlannedTest, record: TestRecord, output: Output) -> None:
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
        done.events.append(TestFinished(done.now, report))

    def _judge_leaks(self, done: _Done) -> tuple[list[dict[str, Any]], list[Event]]:
        """What the last test fails for, and the warnings; what is allowed is set aside."""
        evidence = done.attempt.evidence
        leaks = evidence.handle_stats.get("leaks")
        if not leaks:
            return [], []
        settled = done.attempt.conclusion.settled
        last = settled[-1][0] if settled else done.attempt.tests[-1]
        options = self.options_of(last)
        judged = Policy(options.leaks, options.allowed_leaks).judge(last.id, leaks)
        evidence.allow_leaks(judged.allowed)
        # where a fixture failed there may be no test that could be charged with them
        failed, warned = (judged.failed, judged.warned) if settled else ([], judged.warned + judged.failed)
        what = "; ".join(map(tell_leak, warned))
        return failed, [Warned(done.now, f"{last.id} left behind: {what}")] if warned else []


@dataclass(slots=True)
class _Done:
    """An attempt that is being settled."""

    unit: Unit
    attempt: Attempt
    outputs: Sequence[Output]
    made_by: MadeBy
    now: float
    events: list[Event] = field(default_factory=list)

    def facts(self, outcome: str, cause: str | None) -> AttemptReport:
        """What there is to say about the attempt's process, to a test with this outcome."""
        attempt = self.attempt
        return AttemptReport(
            number=attempt.number,
            outcome=outcome,
            cause=cause,
            exit_code=attempt.evidence.status.exit_code,
            signal=attempt.evidence.status.signal,
            process_id=attempt.process_id,
            duration=_span(attempt.spawned_at, attempt.ended_at) or 0.0,
            spawn_time=_span(attempt.spawned_at, attempt.ready_at),
            cleanup_time=_span(attempt.finished_at, attempt.ended_at),
            cpu_time=attempt.evidence.status.cpu_time,
            memory_usage=_memory_of(attempt),
            handle_stats=attempt.evidence.handle_stats,
            start_method=self.made_by.start_method,
            fork_after=self.made_by.fork_after,
        )


def _memory_of(attempt: Attempt) -> dict[str, int | None]:
    usage = {"peak_rss": attempt.peak_rss}
    if attempt.own_memory is not None:
        usage["own"] = attempt.own_memory
    return usage


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
    lines = [f"  {tell_leak(leak)}" for leak in leaks]
    text = "\n".join([f"The test left {len(lines)} behind:", *lines])
    record.notes.append(Note("addFailure", f"{text}\n", text))
    if worst_outcome(record.notes, succeeded=record.succeeded) == "failed":
        record.cause = record.cause or "leak"


def _span(begin: float, end: float) -> float | None:
    never = float("inf")
    return None if never in (begin, end) else end - begin
