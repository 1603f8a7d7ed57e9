"""In which order groups of tests begin, and how they are cut into parts: no I/O, no clock.

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
"""Seconds that a test counts for where nothing at all is known of any."""

AS_LONG = 0.8
"""What takes this part of the longest, or more, takes as long: the next run of either may tell otherwise."""

NO_MATTER = 0.05
"""Seconds by which groups may differ and still take as long as one another."""

T = TypeVar("T")

Rank = tuple[bool, bool, float]
"""What groups of tests are sorted by: see `Expectations.rank`."""


@record(frozen=True)
class Expectations:
    """What past runs let expect: *seconds* by the ids of tests, and which *failed* the last time.

    *peaks* are the bytes of memory that tests used. With *keeps_order* the tests have one that is wanted: only
    what failed may go before.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    failed: Collection[str] = ()
    failed_first: bool = False
    peaks: Mapping[str, int] = field(default_factory=dict)
    keeps_order: bool = False

    @property
    def of_unknown(self) -> float:
        """What a test counts for that is not known: as much as the others, on average."""
        return sum(self.seconds.values()) / len(self.seconds) if self.seconds else UNKNOWN

    def rank(self, tests: Iterable[PlannedTest]) -> Rank:
        """What a group of tests is sorted by: those that failed, if asked for, the unknown, the longest."""
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
    """For each rank, the lowest first, which level it is on: what is on one takes about as long as the rest of it."""
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
    """The items with *width* keys taking turns, each as long as it has any; those of one key stay in their order."""
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
    """The tests in a random order, the same for the same tests and *seed*: classes and modules stay together."""
    chance = random.Random(seed)  # noqa: S311 - nobody is to be kept from guessing it
    modules: dict[str, dict[str, list[PlannedTest]]] = {}
    for test in tests:
        modules.setdefault(test.module, {}).setdefault(test.class_id, []).append(test)
    order = []
    for module in chance.sample(sorted(modules), len(modules)):
        classes = modules[module]
        for members in chance.sample([classes[name] for name in sorted(classes)], len(classes)):
            order += chance.sample(members, len(members))
    return order


def repeated(tests: Sequence[PlannedTest], times: int) -> list[PlannedTest]:
    """The tests again and again, with numbers of their own: all of them once, then all of them a second time."""
    after = max((test.number for test in tests), default=0) + 1
    return [replace(test, number=test.number + after * turn, turn=turn) for turn in range(times) for test in tests]


@record(frozen=True)
class Shard:
    """One of several parts of a run. *digest* is that of the whole division: equal in all its parts."""

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
    """The *part*-th, from 1 on, of *of* parts that take about the same time: whole groups, the longest first.

    The same tests and the same past give the same parts on every machine.
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
