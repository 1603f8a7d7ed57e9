"""Cuts the plan of a run into batches, each of which one worker runs: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.slots import Needs
from isolatedunit.engine.scheduling.units import OptionsOf, group_of
from isolatedunit.model.records import record
from isolatedunit.model.results import PlannedTest

BATCHES_PER_SLOT = 4
"""How many batches each slot gets: enough that the last ones end at about the same time."""

SHORTEST = 1.0
"""Seconds that the tests of a batch should take at least: starting one takes a tenth of that."""

OF_A_PROCESS = 0.005
"""Seconds that the process of a test takes beside the test itself."""


@record(eq=False)
class Batch:
    """Tests that go to a worker together: *tests*, by their numbers, are those that are not settled yet.

    *family* is common to all batches that came of one: they run one after the other. *number* counts the tries of its
    tests. It waits until *not_before*. While it runs, *incarnation* is the name that it has there, *machine* where that
    is, *slot* the number of its slot and *offset* what is to be added to the times of that machine. *running* are the
    attempts that have started and not finished, each with its tests, *again* the tests to try once more,
    *is_finished* says that the worker's run came to its end.
    """

    name: str
    family: str
    tests: dict[int, PlannedTest]
    needs: Needs
    number: int = 1
    not_before: float = 0.0
    width: int = 1
    slot: int = 0
    incarnation: str | None = None
    machine: str = ""
    offset: float = 0.0
    running: dict[str, tuple[str, ...]] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    again: list[PlannedTest] = field(default_factory=list)
    is_finished: bool = False
    not_run: tuple[str, ...] = ()


@record()
class _Bundle:
    """Tests that must not be cut apart: *place* orders those that past runs say nothing about."""

    place: int
    tests: list[PlannedTest] = field(default_factory=list)
    cost: float = 0.0


def cut_batches(
    tests: Sequence[PlannedTest], options: Options, options_of: OptionsOf, expectations: Expectations, slots: int
) -> list[Batch]:
    """The tests in batches that take about equally long, about four a slot, in the order in which they should begin.

    Tests of which one runs at a time stay together, and so do those that share the fixtures of a class or a module.
    """
    bundles = _bundles_of(tests, options, expectations)
    budget = max(SHORTEST, sum(bundle.cost for bundle in bundles) / (BATCHES_PER_SLOT * max(1, slots)))
    return [
        Batch(str(number), str(number), {test.number: test for test in members}, needs)
        for number, (members, needs) in enumerate(_fill(bundles, options_of, budget), 1)
    ]


def _bundles_of(tests: Sequence[PlannedTest], options: Options, expectations: Expectations) -> list[_Bundle]:
    by_key: dict[object, _Bundle] = {}
    unknown, seconds = expectations.of_unknown, expectations.seconds
    for test in tests:
        key = _key_of(test, options)
        bundle = by_key.get(key)
        if bundle is None:
            bundle = by_key[key] = _Bundle(len(by_key))
        bundle.tests.append(test)
        bundle.cost += seconds.get(test.id, unknown) + OF_A_PROCESS
    bundles = list(by_key.values())
    if not expectations.changes_nothing:
        bundles.sort(key=lambda bundle: (*expectations.rank(bundle.tests), bundle.place))
    return bundles


def _key_of(test: PlannedTest, options: Options) -> object:
    if options.isolation == "none":
        return test.turn
    if test.fixtures or options.isolation == "module":
        return test.turn, test.module, repr(test.home)
    if options.isolation == "class":
        return test.turn, test.class_id, test.class_number, group_of(test, options)
    return group_of(test, options)


def _fill(
    bundles: Sequence[_Bundle], options_of: OptionsOf, budget: float
) -> Iterator[tuple[list[PlannedTest], Needs]]:
    members: list[PlannedTest] = []
    needs, cost = Needs(), 0.0
    for bundle in bundles:
        needed = Needs.of([options_of(test) for test in bundle.tests])
        if members and (needed != needs or cost + bundle.cost > budget):
            yield members, needs
            members, cost = [], 0.0
        members.extend(bundle.tests)
        needs, cost = needed, cost + bundle.cost
    if members:
        yield members, needs
