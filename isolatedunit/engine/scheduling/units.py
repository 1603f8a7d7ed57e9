"""Decides which tests share a child, and which run one after the other: no I/O, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import Any

from isolatedunit.config.consequences import fixed_while_debugging
from isolatedunit.config.options import Options, overriding
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.scheduling.fixtures import Fixture
from isolatedunit.engine.scheduling.ordering import Expectations, in_turns, levels_of
from isolatedunit.engine.scheduling.slots import ORDINARY, Needs
from isolatedunit.model.records import record
from isolatedunit.model.results import AttemptReport, PlannedTest

OF_A_PROCESS = ("memory_limit", "cpu_limit", "max_output", "max_processes", "max_open_files")
"""Options that apply to a whole process: tests for which they differ cannot share one."""


@record()
class Unit:
    """What one child runs: *tests*, for the *number*-th time, or only a *fixture* that these need.

    The units of one *group* run one after the other. *repeated* counts the processes that came to their end without
    having run the first of the tests.
    """

    tests: Sequence[PlannedTest]
    options: Options
    group: str
    needs: Needs = ORDINARY
    number: int = 1
    spawn_tries: int = 0
    repeated: int = 0
    history: tuple[AttemptReport, ...] = ()
    fixture: Fixture | None = None


@record()
class Group:
    """Units that run one at a time, in their order; the group with the lowest *order* goes first."""

    order: int
    units: deque[Unit] = field(default_factory=deque)
    running: bool = False


class OptionsOf:
    """The options of each test: those of the run, except what patterns, its class or its method override."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._known: dict[str, Options] = {}
        self._by_pattern: dict[str, dict[str, Any]] = {}

    def __call__(self, test: PlannedTest) -> Options:
        """The options of *test*."""
        patterns = self._options.overrides
        if not test.overrides and not patterns:
            return self._options
        values = {**self._from_patterns(test.id), **test.overrides} if patterns else test.overrides
        if self._options.debug:
            fixed = fixed_while_debugging(self._options)
            values = {name: value for name, value in values.items() if name not in fixed}
        if not values:
            return self._options
        key = repr(sorted(values.items()))
        if key not in self._known:
            self._known[key] = self._options.with_values(values, test.id)
        return self._known[key]

    def _from_patterns(self, test_id: str) -> dict[str, Any]:
        if test_id not in self._by_pattern:
            found = overriding(self._options.overrides, test_id)
            self._by_pattern[test_id] = {name: value for name, (value, _) in found.items()}
        return self._by_pattern[test_id]


def attempt_at(unit: Unit, run: str, options_of: OptionsOf, *, in_haste: bool = False) -> Attempt:
    """An attempt at the unit; *in_haste*, since somebody waits for the end of the run, a fixture gets little time."""
    fixture, options = unit.fixture, unit.options
    attempt_id = f"{run}/{unit.tests[0].number if fixture is None else fixture.name}#{unit.number}"
    if unit.repeated:
        attempt_id += f"+{unit.repeated}"
    if unit.spawn_tries:
        attempt_id += f".{unit.spawn_tries}"
    if fixture is None:
        # if each test has a unit of its own, its options are those of the unit
        of_each = None if options.isolation == "test" else options_of
        return Attempt(attempt_id, unit.tests, options, of_each, number=unit.number)
    if in_haste:
        options = replace(options, process_timeout=options.terminate_grace)
    attempt = Attempt(attempt_id, (), options, number=unit.number)
    attempt.evidence.expect(fixture.id)
    return attempt


def fixture_unit(fixture: Fixture, group: str) -> Unit:
    """The unit in *group* that runs the fixture; a set-up that has failed before counts as another try."""
    scope = fixture.scope
    needs = Needs.of([scope.options])
    if fixture.sets_up:
        return Unit(scope.tests, scope.options, group, needs, scope.number, history=scope.history, fixture=fixture)
    return Unit(scope.tests, scope.options, group, needs, fixture=fixture)


def units_of(tests: Iterable[PlannedTest], options: Options, options_of: OptionsOf) -> Iterator[Unit]:
    """The tests in units, in their order: neighbours that share a process become one unit."""
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
    """A key: neighbours with equal keys run in one process."""
    if options.isolation == "test":
        return test.number
    process = (options.start_method, options.fork_after, *(getattr(options, name) for name in OF_A_PROCESS))
    if options.isolation == "class":
        return process, test.class_id, test.class_number, repr(test.home), test.turn
    if options.isolation == "module":
        return process, test.module, repr(test.home), test.turn
    return process, test.turn


def in_order(units: list[Unit], options: Options, expectations: Expectations | None, slots: int | None) -> list[Unit]:
    """The units, those of groups that should begin first before the others; each group's own stay in their order.

    If the tests of a module may run side by side, as many modules as there are *slots* take turns: tests that begin
    at the same time are of different modules, and each module is imported once as long as the slots keep step.
    """
    if expectations is None or (expectations.changes_nothing and options.parallel_by == "module"):
        return units
    by_name: dict[str, list[Unit]] = {}
    for unit in units:
        by_name.setdefault(unit.group, []).append(unit)
    groups = list(by_name.values())
    levels = [0] * len(groups)
    if not expectations.changes_nothing:
        levels = levels_of([expectations.rank(test for unit in group for test in unit.tests) for group in groups])
    on_level: dict[int, list[list[Unit]]] = {}
    for level, group in zip(levels, groups, strict=True):
        on_level.setdefault(level, []).append(group)
    if not expectations.keeps_order and options.parallel_by != "module":
        on_level = {level: in_turns(on_level[level], _home_of, slots or 1) for level in on_level}
    return [unit for level in sorted(on_level) for group in on_level[level] for unit in group]


def _home_of(group: list[Unit]) -> str:
    test = group[0].tests[0]
    return f"{test.home!r} {test.module}"


def group_of(test: PlannedTest, options: Options) -> str:
    """The group of the test, of which one test runs at a time."""
    if options.parallel_by == "test":
        return str(test.number)
    group = repr(test.home)
    if "module" not in test.home:
        group += test.module  # a name on the command line may stand for the tests of many modules
    if options.parallel_by == "class":
        group += test.class_id
    return group


def _unit(tests: list[PlannedTest], options: Options, options_of: OptionsOf) -> Unit:
    options_of_all = [options_of(test) for test in tests]
    return Unit(tests, options_of_all[0], group_of(tests[0], options), Needs.of(options_of_all))
