"""What past runs recorded, as the page shows it: `isolatedunit history --html`, and a view of a run's page."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from isolatedunit.history.store import History, TestHistory
from isolatedunit.history.trends import find_trends
from isolatedunit.reporters.escaping import on_one_line, printable

MOST_OF_A_KIND = 100
"""How many of the failing, the flaky and the slow tests the page of a run has; that of the history has all tests."""


def describe_past(tests: Sequence[TestHistory], path: str) -> dict[str, Any]:
    """The histories of *tests*, which the file *path* has."""
    return {"path": printable(path), "tests": [_describe(test) for test in tests]}


def read_past(path: str | None) -> dict[str, Any] | None:
    """The histories of the tests that matter most; None where there is no file, or none that can be read."""
    if path is None:
        return None
    try:
        tests = History(path, only_reads=True).read_runs()
    except (sqlite3.Error, OSError, ValueError, TypeError):
        return None  # what writes it says so
    found = find_trends(tests, MOST_OF_A_KIND)
    shown = {test.id for list_of in (found.slow, found.flaky, found.failing) for test in list_of}
    described = describe_past([test for test in tests if test.id in shown], path)
    return {**described, "of": len(tests)}


def _describe(test: TestHistory) -> dict[str, Any]:
    runs = [[round(run.at), round(run.duration, 4), run.outcome, run.cause or ""] for run in test.runs]
    return {"id": on_one_line(test.id), "message": printable(test.message), "runs": runs}
