"""``isolatedunit history``: shows what past runs recorded about tests, on the terminal, as JSON or as a page."""

from __future__ import annotations

import html
import json
import sqlite3
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase

from isolatedunit.cli.parser import make_subcommand_parser
from isolatedunit.config.output_files import HISTORY
from isolatedunit.errors import OptionError
from isolatedunit.history.store import History, TestHistory
from isolatedunit.history.trends import Trends, as_json, date_of, find_trends, runs_of, tables_of
from isolatedunit.reporters.escaping import on_one_line, printable
from isolatedunit.reporters.files.json_report import write_atomically

LIMIT = 10
"""How many tests a list has by default."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #595959; }
@media (prefers-color-scheme: dark) { :root { --dim: #a6a6a6; } }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { font-size: 1.25rem; font-weight: 600; padding: 1.5rem 0 .5rem; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .75rem .3rem 0; text-align: left; vertical-align: top; }
td:not(:last-child) { white-space: nowrap; }
td { font-family: ui-monospace, monospace; font-size: .875rem; }
p { color: var(--dim); }
"""


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
    parser.add_argument("--html", metavar="FILE", help="write the lists as an HTML page")
    given = parser.read(arguments)
    if given.limit < 1:
        raise OptionError(f"--limit: invalid value {given.limit}; expected a whole number that is at least 1.")
    tests = _read(given.history)
    if given.tests:
        tests = [test for test in tests if any(_matches(test.id, pattern) for pattern in given.tests)]
        if not tests:
            raise OptionError(f"history: {given.history!r} has no runs of {', '.join(map(repr, given.tests))}.")
    found = find_trends(tests, given.limit)
    if given.json == "-":
        print(json.dumps(as_json(found, tests), indent=1))
    elif given.json is not None:
        _write("--json", given.json, json.dumps(as_json(found, tests), indent=1) + "\n")
    if given.html is not None:
        _write("--html", given.html, page_of(found, given.history))
    if given.json is None and given.html is None:
        lines = _format_tests(tests, given.limit) if given.tests else _format_all(found, given.history)
        print("\n".join(lines))
    return 0


def _read(path: str) -> list[TestHistory]:
    try:
        tests = History(path, only_reads=True).read_runs()
    except FileNotFoundError:
        raise OptionError(
            f"history: {path!r} does not exist; run some tests first, or name another file with --history."
        ) from None
    except (sqlite3.Error, ValueError, TypeError) as exception:
        raise OptionError(f"history: {path!r} cannot be read: {exception}.") from exception
    if not tests:
        raise OptionError(f"history: {path!r} has no runs yet; run some tests first.")
    return tests


def _matches(test_id: str, pattern: str) -> bool:
    return fnmatchcase(test_id, pattern) if "*" in pattern else pattern in test_id


def _write(flag: str, path: str, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as exception:
        raise OptionError(f"{flag}: {path!r} cannot be written: {exception.strerror}.") from exception


def _format_all(found: Trends, path: str) -> list[str]:
    lines = [f"{found.tests} tests in {path}, last run {date_of(found.last_at)}"]
    for title, head, rows in tables_of(found, only_ascii=not _can_draw()):
        lines += ["", title, "-" * 70, *_align([head, *rows])]
    return lines


def _format_tests(tests: Sequence[TestHistory], limit: int) -> list[str]:
    lines: list[str] = []
    for test in tests[:limit]:
        lines += [on_one_line(test.id), "-" * 70, *_align(runs_of(test))]
        if test.message:
            lines += ["last failure:", *(f"  {line}" for line in printable(test.message).splitlines())]
        lines.append("")
    more = len(tests) - limit
    return [*lines, f"and {more} more tests; show them with --limit"] if more > 0 else lines[:-1]


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


def page_of(found: Trends, path: str) -> str:
    """The lists as a self-contained page."""
    parts = []
    for title, head, rows in tables_of(found):
        heads = "".join(f'<th scope="col">{_as_html(cell)}</th>' for cell in head)
        body = "".join(f"<tr>{''.join(f'<td>{_as_html(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
        table = f"<table><caption>{title}</caption><thead><tr>{heads}</tr></thead><tbody>\n{body}</tbody></table>"
        parts.append(f'<div role="region" aria-label="{title}" tabindex="0">{table}</div>')
    text = f"{found.tests} tests in {path}, last run {date_of(found.last_at)}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Test history</title><style>{_STYLE}</style></head>\n"
        f"<body><main><h1>Test history</h1><p>{_as_html(text)}</p>\n{''.join(parts)}</main></body></html>\n"
    )


def _as_html(text: str) -> str:
    return html.escape(on_one_line(text))
