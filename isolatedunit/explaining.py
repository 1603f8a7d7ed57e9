"""``isolatedunit config``: tells which options tests will have, and where each of them comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isolatedunit.engine.units import OptionsOf
from isolatedunit.options import PER_TEST, TABLE, Options, overriding
from isolatedunit.results import PlannedTest

BY_DEFAULT = "default"
IN_CODE = "its class or method"

Row = tuple[str, str, str]


def explain(tests: Sequence[PlannedTest], options: Options, origins: Mapping[str, str]) -> Iterator[str]:
    """The lines to print: tests that have the same options, from the same places, are told together."""
    alike: dict[tuple[Row, ...], list[str]] = {}
    for test in tests:
        alike.setdefault(tuple(_rows(test, options, origins)), []).append(test.id)
    for number, (rows, names) in enumerate(alike.items()):
        if number:
            yield ""
        yield from names
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for name, value, origin in rows:
            yield f"  {name:<{widths[0]}} = {value:<{widths[1]}}  {origin}"


def _rows(test: PlannedTest, options: Options, origins: Mapping[str, str]) -> Iterator[Row]:
    effective = OptionsOf(options)(test)
    by_pattern = overriding(options.overrides, test.id)
    for name in TABLE:
        if name not in PER_TEST:
            continue
        origin = origins.get(name, BY_DEFAULT)
        if name in by_pattern:
            where = origins.get("overrides", BY_DEFAULT)
            origin = f"the override for {by_pattern[name][1]!r} in {where}"
        if name in test.overrides:
            origin = IN_CODE
        yield name, _show(getattr(effective, name)), origin


def _show(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "(empty)"
    return f"{value:g}" if isinstance(value, float) else str(value)
