"""Finds out which modules can share their first imports: no I/O, no clock.

A template can execute the import statements with which several modules begin. The templates of these modules are forked
from it, and import the rest. Since it executes only statements that each module begins with, in their order, a module
finds what it would have imported itself.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from isolatedunit.model.results import ImportsKey, PlannedTest, path_of

Prefix = tuple[str, ...]

_LIGHT = frozenset(sys.stdlib_module_names) | {"isolatedunit"}


def shared_prefixes(prefixes: Mapping[str, Sequence[str]]) -> dict[str, Prefix]:
    """For each module that shares its beginning with another, the longest such beginning that is worth sharing.

    *prefixes* has the import statements that modules begin with. The standard library alone is not worth sharing.
    """
    ordered = sorted((tuple(statements), name) for name, statements in prefixes.items())
    shared: dict[str, Prefix] = {}
    for place, (statements, name) in enumerate(ordered):
        # in this order, the one that shares most is a neighbour
        neighbours = [ordered[near][0] for near in (place - 1, place + 1) if 0 <= near < len(ordered)]
        longest = max((_common(statements, other) for other in neighbours), key=len, default=())
        paying = _cut_to_paying(longest)
        if paying:
            shared[name] = paying
    return shared


class SharedImportsPlan:
    """The shared imports of a run.

    *expected* are those that a past run wanted; they begin before it is known which ones this run wants. *wanted* are
    those of this run, starting with what most modules share.
    """

    def __init__(self) -> None:
        self.expected: tuple[ImportsKey, ...] = ()
        self.wanted: tuple[ImportsKey, ...] = ()
        self._of_home: dict[str, Prefix] = {}

    def plan(self, tests: Sequence[PlannedTest]) -> None:
        """Find out what the modules of these tests can share."""
        homes = {repr(test.home): test for test in tests if test.prefix}
        self._of_home = shared_prefixes({home: test.prefix for home, test in homes.items()})
        count = Counter((path_of(homes[home].home), prefix) for home, prefix in self._of_home.items())
        self.wanted = tuple(shared_imports for shared_imports, _ in count.most_common())

    @property
    def kept(self) -> list[ImportsKey]:
        """The shared imports that were expected, and are wanted."""
        return [shared_imports for shared_imports in self.expected if shared_imports in self.wanted]

    def of(self, home: dict[str, Any] | None) -> Prefix:
        """The statements that *home* shares with other homes, or says itself that it begins with; empty without any."""
        own = (home or {}).get("begins with", ())  # such as a call's, whose home is made anew in each of its templates
        return self._of_home.get(repr(home)) or tuple(map(str, own))


def _common(first: Prefix, second: Prefix) -> Prefix:
    length = 0
    for statement, other in zip(first, second, strict=False):
        if statement != other:
            break
        length += 1
    return first[:length]


def _cut_to_paying(prefix: Prefix) -> Prefix:
    """The prefix without the statements at its end that import only the standard library."""
    for length in range(len(prefix), 0, -1):
        if prefix[length - 1].split()[1].split(".")[0] not in _LIGHT:
            return prefix[:length]
    return ()
