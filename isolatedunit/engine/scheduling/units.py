"""Decides which tests share a child, and which run one after the other: no I/O, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Literal

from isolatedunit.config.consequences import fixed_while_debugging
from isolatedunit.config.options import Options, overriding
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.scheduling.fixtures import Fixture
from isolatedunit.engine.scheduling.ordering import Expectations, in_turns, levels_of
from isolatedunit.engine.scheduling.slots import ORDINARY, Needs
from isolatedunit.model.records import record
from isolatedunit.model.results import AttemptReport, PlannedTest

if TYPE_CHECKING:
    from isolatedunit.engine.scheduling.standing import Standings

OF_A_PROCESS = ("memory_limit", "cpu_limit", "max_output", "max_processes", "max_open_files")
"""Options that apply to a whole process: tests for which they differ cannot share one."""


@record()
class Unit:
    """What one child runs: *tests*, for the *number*-th time, or only a *fixture* that these need.

    The units of one *group* run one after the other. *repeated* counts the processes that came to their end without
    having run the first of the tests. A *trial*, if that is not 0, shows whether tests that have run alone come to the
    same together; it reports no test.
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
    trial: int = 0

    @property
    def is_on_trust(self) -> bool:
        """Whether its tests share a process since their class has standing, or to find out whether it has."""
        return self.options.isolation == "auto"

    @property
    def tries(self) -> int:
        """How many tries at the tests this is, without those in a shared process, which do not count."""
        return self.number - sum(attempt.isolation != isolation_of(self.options) for attempt in self.history)


@record()
class Group:
    """Units that run one at a time, in their order; the group with the lowest *order* goes first."""

    order: int
    units: deque[Unit] = field(default_factory=deque)
    running: bool = False


def isolation_of(options: Options) -> str:
    """What has a process of its own, in a report: ``auto`` says so only of a process that a class has."""
    return "class" if options.isolation == "auto" else options.isolation


class OptionsOf:
    """The options of each test: those of the run, except what patterns, its class or its method override.

    For a test with ``isolation=auto`` the *standings* of classes decide; without them, it is isolated by itself.
    """

    def __init__(self, options: Options, standings: Standings | None = None) -> None:
        self._options = options
        self._standings = standings
        self._decided: dict[tuple[int, str], Options] = {}
        self._known: dict[str, Options] = {}
        self._by_pattern: dict[str, dict[str, Any]] = {}

    def __call__(self, test: PlannedTest) -> Options:
        """The options of *test*, with what ``auto`` comes to for it at the moment."""
        options = self.given(test)
        if options.isolation != "auto":
            return options
        if self._standings is not None and self._standings.shares(test):
            return self.together(test)
        return self._decide(options, "test")

    def alone(self, test: PlannedTest) -> Options:
        """The options of *test*, for which ``auto`` may be given, in a process of its own."""
        return self._decide(self.given(test), "test")

    def together(self, test: PlannedTest) -> Options:
        """The options of *test* in a process that it shares, which ends with the first test that does not do well."""
        return self._decide(self.given(test), "auto")

    def _decide(self, options: Options, isolation: Literal["test", "auto"]) -> Options:
        key = id(options), isolation
        if key not in self._decided:
            failfast = options.failfast or isolation == "auto"
            self._decided[key] = replace(options, isolation=isolation, failfast=failfast)
        return self._decided[key]

    def given(self, test: PlannedTest) -> Options:
        """The options of *test* as they are given, where ``auto`` is not decided."""
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
    if unit.trial:
        attempt_id += f"t{unit.trial}"
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
    if options.isolation in ("class", "auto"):
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


def alone_units(unit: Unit, tests: Sequence[PlannedTest], options_of: OptionsOf) -> list[Unit]:
    """Units that run *tests* of *unit* one by one; *options_of* says by now that each is alone."""
    return [
        Unit([test], options_of(test), unit.group, Needs.of([options_of(test)]), repeated=test is unit.tests[0])
        for test in tests
    ]


def _unit(tests: list[PlannedTest], options: Options, options_of: OptionsOf) -> Unit:
    options_of_all = [options_of(test) for test in tests]
    if len(tests) == 1 and options_of_all[0].isolation == "auto":
        options_of_all = [options_of.alone(tests[0])]
    return Unit(tests, options_of_all[0], group_of(tests[0], options), Needs.of(options_of_all))
