"""``isolatedunit history``: shows what past runs recorded about tests, on the terminal, as JSON or as a page."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from isolatedunit.cli.parser import make_subcommand_parser
from isolatedunit.config.output_files import HISTORY
from isolatedunit.errors import OptionError
from isolatedunit.history.classes import Table, describe_classes, table_of_classes
from isolatedunit.history.store import History, TestHistory
from isolatedunit.history.trends import Trends, as_json, date_of, find_trends, runs_of, tables_of
from isolatedunit.reporters.escaping import on_one_line, printable
from isolatedunit.reporters.files.json_report import write_atomically
from isolatedunit.reporters.web.page import page_of
from isolatedunit.reporters.web.past import describe_past

LIMIT = 10
"""How many tests a list has by default."""


def history_command(arguments: Sequence[str]) -> int:
    """Show or write the history that *arguments* name; returns the exit code. Raises `OptionError`."""
    parser = make_subcommand_parser(
        "history", "Show what past runs recorded: slow tests and their trends, flaky tests and failing tests."
    )
    parser.add_argument(
        "tests", nargs="*", metavar="TEST", help="show the runs of these tests: ids, parts of ids or patterns"
    )
    parser.add_argument(
        "--history", metavar="FILE", default=HISTORY, help=f"the history file to read (default: {HISTORY})"
    )
    parser.add_argument(
        "--limit", metavar="N", type=int, default=LIMIT, help=f"how many tests each list shows (default: {LIMIT})"
    )
    parser.add_argument("--json", metavar="FILE", help="write the lists as JSON; - is standard output")
    parser.add_argument("--html", metavar="FILE", help="write the history of all tests as an HTML page")
    given = parser.read(arguments)
    if given.limit < 1:
        raise OptionError(f"--limit: invalid value {given.limit}; expected a whole number that is at least 1.")
    tests, classes = _read(given.history)
    if given.tests:
        tests = [test for test in tests if any(_matches(test.id, pattern) for pattern in given.tests)]
        if not tests:
            raise OptionError(f"history: {given.history!r} has no runs of {', '.join(map(repr, given.tests))}.")
    found = find_trends(tests, given.limit)
    text = json.dumps({**as_json(found, tests), "classes": classes}, indent=1)
    if given.json == "-":
        print(text)
    elif given.json is not None:
        _write("--json", given.json, f"{text}\n")
    if given.html is not None:
        document = {"kind": "history", **describe_past(tests, given.history)}
        _write("--html", given.html, page_of(document, "Test history"))
    if given.json is None and given.html is None:
        table = table_of_classes(classes, given.limit)
        lines = _format_tests(tests, given.limit) if given.tests else _format_all(found, table, given.history)
        print("\n".join(lines))
    return 0


def _read(path: str) -> tuple[list[TestHistory], list[dict[str, Any]]]:
    try:
        history = History(path, only_reads=True)
        tests, classes = history.read_runs(), describe_classes(history.read_classes())
    except FileNotFoundError:
        raise OptionError(
            f"history: {path!r} does not exist; run some tests first, or name another file with --history."
        ) from None
    except (sqlite3.Error, ValueError, TypeError) as exception:
        raise OptionError(f"history: {path!r} cannot be read: {exception}.") from exception
    if not tests:
        raise OptionError(f"history: {path!r} has no runs yet; run some tests first.")
    return tests, classes


def _matches(test_id: str, pattern: str) -> bool:
    return fnmatchcase(test_id, pattern) if "*" in pattern else pattern in test_id


def _write(flag: str, path: str, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as exception:
        raise OptionError(f"{flag}: {path!r} cannot be written: {exception.strerror}.") from exception


def _format_all(found: Trends, classes: Table | None, path: str) -> list[str]:
    lines = [f"{_count_tests(found.tests)} in {path}, last run {date_of(found.last_at)}"]
    for title, head, rows, more in tables_of(found, only_ascii=not _can_draw()):
        lines += ["", title, "-" * 70, *_align([head, *rows]), *_mention_more(more)]
    if classes is not None:
        title, head, rows, more = classes
        shown = _align([head, *rows]) if rows else []
        lines += ["", title, "-" * 70, *shown, *_mention_more(more, "class")]
    return lines


def _format_tests(tests: Sequence[TestHistory], limit: int) -> list[str]:
    lines: list[str] = []
    for test in tests[:limit]:
        lines += [on_one_line(test.id), "-" * 70, *_align(runs_of(test))]
        if test.message:
            lines += ["last failure:", *(f"  {line}" for line in printable(test.message).splitlines())]
        lines.append("")
    more = _mention_more(len(tests) - limit)
    return [*lines, *more] if more else lines[:-1]


def _mention_more(count: int, what: str = "test") -> list[str]:
    plural = {"test": "tests", "class": "classes"}[what]
    return [f"and {count} more {what if count == 1 else plural}; show them with --limit"] if count > 0 else []


def _count_tests(count: int) -> str:
    return f"{count} test{'' if count == 1 else 's'}"


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    shown = [[on_one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]


def _can_draw() -> bool:
    try:
        "▁█".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
