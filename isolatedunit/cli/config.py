"""``isolatedunit config``: shows the options that tests will have, and where each of them comes from."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isolatedunit.cli.exit_codes import NO_TESTS, SUCCESS
from isolatedunit.cli.parser import make_parser, parse_all
from isolatedunit.config.options import PER_TEST, TABLE, Options, overriding
from isolatedunit.engine.scheduling.units import OptionsOf
from isolatedunit.errors import OptionError
from isolatedunit.model.results import PlannedTest
from isolatedunit.reporters.terminal.streams import FilteredStream, keep_encodable

BY_DEFAULT = "default"
IN_CODE = "its class or method"

Row = tuple[str, str, str]


def config_command(arguments: Sequence[str]) -> int:
    """Print the options of the tests that *arguments* name; returns the exit code. Raises `OptionError`."""
    from isolatedunit.cli.collecting import collect_tests
    from isolatedunit.collection.plan import report_known

    parser = make_parser(
        runs=False,
        tests="the modules, classes, methods or files whose options to show; at least one",
        prog="isolatedunit config",
        usage="%(prog)s [OPTION ...] TEST ...",
        description="Show the options that tests will have when they run with these options,\nand where each is set.",
        epilog=None,
    )
    wanted = parse_all(arguments, parser)
    if "names" not in wanted.source:
        raise OptionError("config: no test given; name a test, a class or a module, as for a run.")
    planned = collect_tests(wanted)
    failed = next((report_known(test) for test in planned if test.reports), None)
    if failed is not None and failed.notes:
        message = failed.notes[0].message.strip().rpartition("\n")[2]
        raise OptionError(f"config: {failed.id.rpartition('.')[2]!r} cannot be loaded: {message.rstrip('.')}.")
    out = FilteredStream(sys.stdout, keep_encodable(sys.stdout))
    print("\n".join(explain(planned, wanted.options, wanted.origins)), file=out)
    return SUCCESS if planned else NO_TESTS


def explain(tests: Sequence[PlannedTest], options: Options, origins: Mapping[str, str]) -> Iterator[str]:
    """The lines to print: tests with the same options from the same places share a table."""
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
