"""``isolatedunit list``, ``--list`` and ``--dry-run``: show which tests would run, and run none."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from isolatedunit.cli.collecting import choose_tests, collect_tests
from isolatedunit.cli.exit_codes import FAILURE, NO_TESTS, SUCCESS
from isolatedunit.cli.parser import Wanted, make_parser, parse_all
from isolatedunit.collection.plan import report_known
from isolatedunit.config.consequences import count_jobs
from isolatedunit.config.options import PER_TEST, Options
from isolatedunit.engine.scheduling.forecast import Begin, foresee
from isolatedunit.engine.scheduling.units import OptionsOf
from isolatedunit.model.results import GOOD, PlannedTest, TestReport
from isolatedunit.reporters.contract import shorten_path
from isolatedunit.reporters.escaping import on_one_line
from isolatedunit.reporters.files.json_report import write_whole
from isolatedunit.reporters.terminal.streams import FilteredStream, is_terminal, keep_encodable

FORMAT = "isolatedunit-list/1"

Row = dict[str, Any]
"""A test as the JSON has it."""


def list_command(arguments: Sequence[str]) -> int:
    """List the tests that *arguments* choose; returns the exit code. Raises `OptionError` and `CollectionError`."""
    parser = make_parser(
        runs=False,
        prog="isolatedunit list",
        usage="%(prog)s [OPTION ...] [TEST ...]",
        description="List the tests that would run with these options, one a line: the id, the file\n"
        "and line, the tags, and the options that the test's code or an override sets.\n"
        "--json prints them as JSON instead, and --json=FILE writes them to a file.",
        epilog=None,
    )
    return show_tests(parse_all(arguments, parser, {"--json": "-"}))


def show_tests(wanted: Wanted) -> int:
    """Print the tests that would run, for a dry run in the order in which they would begin; returns the exit code.

    That is 1 if a module cannot be loaded, as in a run. Raises `OptionError` and `CollectionError`.
    """
    options, is_dry = wanted.options, wanted.action == "dry_run"
    chosen = choose_tests(wanted, collect_tests(wanted, locates=True))
    known = [report_known(test) for test in chosen.tests if test.reports]
    broken = [report for report in known if report.outcome not in GOOD]
    rows = [_describe(test, options) for test in chosen.tests if not test.reports]
    begins: list[Begin] = []
    if is_dry:
        unknown = [test for test in chosen.tests if not test.reports]
        begins = list(foresee(unknown, options, chosen.expectations, count_jobs(options)))
        rows = [{**_describe(begin.test, options), **_describe_begin(begin)} for begin in begins]
    if options.json is not None:
        errors = [{"id": report.id, "message": report.message} for report in broken]
        write_whole(options.json, json.dumps({"format": FORMAT, "tests": rows, "errors": errors}, indent=1) + "\n")
    else:
        out = FilteredStream(sys.stdout, keep_encodable(sys.stdout))
        separator = "  " if is_terminal(sys.stdout) else "\t"
        for row in rows:
            print(separator.join(_cells_of_begin(row) if is_dry else _cells_of(row)), file=out)
    sys.stdout.flush()  # before what goes to the other stream, in case both are the same file
    told = [*chosen.notes, *(() if rows else chosen.reminders), *map(_explain, broken)]
    if begins:
        told.append(_sum_up(begins, count_jobs(options)))
    for text in told:
        print(f"isolatedunit: {on_one_line(text)}", file=sys.stderr)
    return FAILURE if broken else SUCCESS if rows else NO_TESTS


def _describe(test: PlannedTest, options: Options) -> Row:
    own = OptionsOf(options)(test)
    file, line = test.location or (None, None)
    return {
        "id": test.id,
        "file": None if file is None else shorten_path(file),
        "line": line,
        "tags": list(test.tags),
        "options": {
            name: getattr(own, name) for name in sorted(PER_TEST) if getattr(own, name) != getattr(options, name)
        },
    }


def _describe_begin(begin: Begin) -> Row:
    return {"slot": begin.slot, "begins_after": begin.at, "expected_duration": begin.seconds, "process": begin.process}


def _cells_of(row: Row) -> Iterator[str]:
    yield on_one_line(row["id"])
    if row["file"] is not None:
        yield on_one_line(f"{row['file']}:{row['line']}")
    if row["tags"]:
        yield on_one_line(f"[{', '.join(row['tags'])}]")
    yield from (on_one_line(f"{name}={_show(value)}") for name, value in row["options"].items())


def _cells_of_begin(row: Row) -> Iterator[str]:
    expected = row["expected_duration"]
    yield f"slot {row['slot']}"
    yield f"{row['begins_after']:8.2f} s"
    yield f"{'unknown' if expected is None else f'{expected:.2f} s':>9}"
    yield on_one_line(row["id"])


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _explain(report: TestReport) -> str:
    name = report.id.rpartition("._FailedTest.")[2]
    return f"{name} cannot be loaded: {report.message.strip().rpartition(chr(10))[2]}"


def _sum_up(begins: Sequence[Begin], slots: int) -> str:
    tests = f"{len(begins)} test{'' if len(begins) == 1 else 's'}"
    slots_of = f"{slots} slot{'' if slots == 1 else 's'}"
    unknown = sum(begin.seconds is None for begin in begins)
    if unknown == len(begins):
        return f"{tests} would run in {slots_of}; nothing is known about how long they take"
    end = max(begin.at + (begin.seconds or 0.0) for begin in begins)
    rest = f"; nothing is known about {unknown} of them" if unknown else ""
    return f"{tests} would run in {slots_of} for about {end:.1f} s, by what they took before{rest}"
