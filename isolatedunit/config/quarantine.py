"""The option ``quarantine``: tests whose failures are known, and do not fail a run until a certain day."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from isolatedunit.errors import OptionError

_KEYS = ("tests", "reason", "until")


class Entry(NamedTuple):
    """Tests by *patterns* of their ids, why their failures are known, and until when they may fail.

    *is_over* says whether the day is in the past, which it is for none that has no *until*.
    """

    patterns: tuple[str, ...]
    reason: str
    until: date | None = None
    is_over: bool = False

    def __str__(self) -> str:
        return ", ".join(self.patterns)

    @property
    def why(self) -> str:
        """The reason, and the last day."""
        return self.reason if self.until is None else f"{self.reason}; until {self.until}"

    def matches(self, test_id: str) -> bool:
        """Whether the test with this id is one of them."""
        return any(fnmatchcase(test_id, pattern) for pattern in self.patterns)


def read_entries(value: Any) -> tuple[Entry, ...]:
    """Read the entries of a file; raises `OptionError`, or ValueError if they are no tables."""
    if isinstance(value, (str, Mapping)) or not all(isinstance(table, (Entry, Mapping)) for table in value):
        raise ValueError
    return tuple(
        table if isinstance(table, Entry) else _read_entry(dict(table), number) for number, table in enumerate(value, 1)
    )


def _read_entry(table: dict[str, Any], number: int) -> Entry:
    tests, reason, until = (table.get(key) for key in _KEYS)
    where = f"the entry for {tests!r}" if isinstance(tests, str) else f"entry {number}"
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(_KEYS)}."
            raise OptionError(f"{where}: unknown key {key!r}; {hint}")
    patterns = tests.split("\n") if isinstance(tests, str) else tests
    if not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) and one for one in patterns):
        raise OptionError(f"{where}: tests: invalid value {tests!r}; expected a pattern of test ids, or a list.")
    if not isinstance(reason, str) or not reason.strip():
        raise OptionError(f"{where}: reason: invalid value {reason!r}; expected why its failures do not count.")
    try:
        day = date.fromisoformat(until) if isinstance(until, str) else until
    except ValueError:
        day = False
    if day is not None and type(day) is not date:
        raise OptionError(f"{where}: until: invalid value {until!r}; expected a date, such as 2030-12-31.")
    return Entry(tuple(one.strip() for one in patterns), reason.strip(), day, day is not None and day < date.today())
