"""Decides in which order groups of tests begin, and how they are cut into parts: no I/O, no clock.

What past runs took is handed in; where there is none, everything keeps unittest's order.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from itertools import islice
from typing import TypeVar

from isolatedunit.model.records import record
from isolatedunit.model.results import PlannedTest

UNKNOWN = 1.0
"""Seconds that each test counts for if no duration is known at all."""

AS_LONG = 0.8
"""A group that takes at least this share of the longest counts as equally long: durations differ between runs."""

NO_MATTER = 0.05
"""Seconds by which groups may differ and still count as equally long."""

T = TypeVar("T")

Rank = tuple[bool, bool, float]
"""The sort key of a group of tests: see `Expectations.rank`."""


@record(frozen=True)
class Expectations:
    """What past runs lead to expect: *seconds* by the ids of tests, and which of them *failed* the last time.

    *peaks* are the bytes of memory that tests used. With *keeps_order*, the order of the tests was chosen by the user:
    only tests that failed may go before the others.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    failed: Collection[str] = ()
    failed_first: bool = False
    peaks: Mapping[str, int] = field(default_factory=dict)
    keeps_order: bool = False

    @property
    def of_unknown(self) -> float:
        """The seconds that an unknown test counts for: the average of the others."""
        return sum(self.seconds.values()) / len(self.seconds) if self.seconds else UNKNOWN

    def rank(self, tests: Iterable[PlannedTest]) -> Rank:
        """The sort key of a group of tests: failed ones go first, if asked for, then unknown ones, then the longest."""
        ids = [test.id for test in tests]
        failed = self.failed_first and any(test_id in self.failed for test_id in ids)
        if self.keeps_order:
            return not failed, True, 0.0
        known = all(test_id in self.seconds for test_id in ids)
        return not failed, known, -sum(self.seconds.get(test_id, 0.0) for test_id in ids)

    @property
    def changes_nothing(self) -> bool:
        """Whether there is nothing to sort by."""
        return (self.keeps_order or not self.seconds) and not (self.failed and self.failed_first)


def levels_of(ranks: Sequence[Rank]) -> list[int]:
    """The level of each rank, the lowest rank being on the first: all ranks on one level take about as long."""
    levels = [0] * len(ranks)
    first: Rank | None = None
    level = 0
    for number in sorted(range(len(ranks)), key=ranks.__getitem__):
        rank = ranks[number]
        if first is None or rank[:2] != first[:2] or _is_shorter(-rank[2], -first[2]):
            level, first = level + 1, rank
        levels[number] = level
    return levels


def in_turns(items: Iterable[T], key_of: Callable[[T], object], width: int) -> list[T]:
    """The items, with *width* keys taking turns until they have none left; those of one key stay in their order."""
    queues: dict[object, deque[T]] = {}
    for item in items:
        queues.setdefault(key_of(item), deque()).append(item)
    waiting = iter(queues.values())
    turns = list(islice(waiting, width))
    ordered: list[T] = []
    while turns:
        ordered += [queue.popleft() for queue in turns]
        turns = [queue or next(waiting, queue) for queue in turns]
        turns = [queue for queue in turns if queue]
    return ordered


def _is_shorter(seconds: float, longest: float) -> bool:
    return seconds < longest * AS_LONG and longest - seconds > NO_MATTER


def shuffled(tests: Sequence[PlannedTest], seed: int) -> list[PlannedTest]:
    """The tests in a random order that follows from *seed*; those of a class, and of a module, stay together."""
    chance = random.Random(seed)  # noqa: S311 - an order of tests is no secret
    modules: dict[str, dict[tuple[str, int], list[PlannedTest]]] = {}
    for test in tests:
        modules.setdefault(test.module, {}).setdefault((test.class_id, test.class_number), []).append(test)
    order = []
    for module in chance.sample(sorted(modules), len(modules)):
        classes = modules[module]
        for members in chance.sample([classes[name] for name in sorted(classes)], len(classes)):
            order += chance.sample(members, len(members))
    return order


def repeated(tests: Sequence[PlannedTest], times: int) -> list[PlannedTest]:
    """All tests *times* times over, each time with numbers of their own."""
    after = max((test.number for test in tests), default=0) + 1
    return [replace(test, number=test.number + after * turn, turn=turn) for turn in range(times) for test in tests]


@record(frozen=True)
class Shard:
    """One of several parts of a run. *digest* is that of the whole division, so it is equal in all parts."""

    part: int
    of: int
    digest: str
    tests: tuple[PlannedTest, ...]


def cut(
    tests: Sequence[PlannedTest],
    part: int,
    of: int,
    expectations: Expectations,
    group_of: Callable[[PlannedTest], str],
) -> Shard:
    """Cut the tests into *of* parts that take about the same time, and return the *part*-th, counted from 1.

    Whole groups are dealt out, the longest first. The same tests and the same past give the same parts on every
    machine.
    """
    import hashlib  # here, as few runs are cut, and it brings all of OpenSSL along

    groups: dict[str, list[PlannedTest]] = {}
    for test in tests:
        groups.setdefault(group_of(test), []).append(test)
    unknown = expectations.of_unknown
    costs = {
        name: sum(expectations.seconds.get(test.id, unknown) for test in members) for name, members in groups.items()
    }
    loads = [(0.0, number) for number in range(1, of + 1)]
    place: dict[str, int] = {}
    for name in sorted(groups, key=lambda group: (-costs[group], group)):
        load, number = heapq.heappop(loads)
        place[name] = number
        heapq.heappush(loads, (load + costs[name], number))
    division = [[test.number, test.id, place[group_of(test)]] for test in tests]
    digest = hashlib.sha256(json.dumps(division).encode("ascii")).hexdigest()
    return Shard(part, of, digest, tuple(test for test in tests if place[group_of(test)] == part))
