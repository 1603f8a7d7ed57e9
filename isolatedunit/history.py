"""What past runs tell about tests: a listener that remembers, in one SQLite file.

Nothing depends on it. The file may be deleted at any time; where it cannot be read or written a run
goes on without. It has one table, ``tests``: ``id``, ``duration`` in seconds (a mean in which each
run counts for half of all before it), ``peak_rss`` in bytes, ``outcome`` and ``cause`` of the last
run, ``runs`` and ``failures`` so far, ``last_run`` in seconds since 1970.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

from isolatedunit.events import Event, RunFinished, TestFinished
from isolatedunit.results import GOOD, TestReport

DEFAULT_PATH = os.path.join(".isolatedunit", "history.sqlite3")
NEWEST_COUNTS = 0.5
"""How much the newest duration counts against the mean of those before it."""

_BUSY_TIMEOUT = 5.0
_VERSION = 1
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS tests (
        id TEXT PRIMARY KEY, duration REAL NOT NULL, peak_rss INTEGER, outcome TEXT NOT NULL, cause TEXT,
        runs INTEGER NOT NULL, failures INTEGER NOT NULL, last_run REAL NOT NULL
    ) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of one test."""

    duration: float
    peak_rss: int | None
    outcome: str
    runs: int
    failures: int

    @property
    def failed(self) -> bool:
        """Whether it did not come out well the last time."""
        return self.outcome not in GOOD


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one test."""

    id: str
    duration: float
    peak_rss: int | None
    outcome: str
    cause: str | None


class History:
    """The file at *path*: `read` what it has, hear of a run, and write that down at its end.

    With *only_reads* nothing is written: shards of one run must all see the same past.
    """

    def __init__(self, path: str, *, only_reads: bool = False) -> None:
        self._path = os.path.abspath(path)
        self._only_reads = only_reads
        self._finished: list[TestReport] = []
        self.problem: str | None = None

    def read(self) -> dict[str, Past]:
        """All that is known, by the ids of the tests; nothing where there is no file of ours."""
        if not os.path.isfile(self._path):
            return {}
        try:
            with closing(self._open()) as database:
                rows = database.execute("SELECT id, duration, peak_rss, outcome, runs, failures FROM tests")
                return {row[0]: Past(*row[1:]) for row in rows}
        except sqlite3.Error as exception:
            self.problem = f"{self._path}: {exception}"
            return {}

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        if self._only_reads:
            return
        if isinstance(event, TestFinished):
            if not event.report.is_fixture and event.report.attempts:
                self._finished.append(event.report)
        elif isinstance(event, RunFinished):
            shared = Counter(report.attempts[-1].process_id for report in self._finished)
            self.learn([_row_of(report, shared) for report in self._finished])
            self._finished = []

    def learn(self, rows: Sequence[Row]) -> None:
        """Write down what became of these tests; where that fails, `problem` says why."""
        try:
            self._make_directory()
            with closing(self._open()) as database, database:
                database.execute(_SCHEMA)
                database.execute(f"PRAGMA user_version = {_VERSION}")
                database.executemany(_UPSERT, [_values_of(row) for row in rows])
        except (OSError, sqlite3.Error) as exception:
            self.problem = f"{self._path}: {exception}"

    def _make_directory(self) -> None:
        directory = os.path.dirname(self._path)
        if not os.path.isdir(directory):
            os.makedirs(directory, mode=0o700)
            # not a part of anybody's project
            with open(os.path.join(directory, ".gitignore"), "w", encoding="utf-8", opener=_open_private) as file:
                file.write("*\n")
        # SQLite would make it readable for all; what it makes beside it is as the file itself is
        os.close(_open_private(self._path, os.O_RDWR | os.O_CREAT))

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT)
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            database.close()
            raise sqlite3.DatabaseError(f"written by a newer isolatedunit (format {version})")
        return database


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


_UPSERT = f"""
    INSERT INTO tests (id, duration, peak_rss, outcome, cause, runs, failures, last_run)
    VALUES (:id, :duration, :peak_rss, :outcome, :cause, 1, :failed, :now)
    ON CONFLICT (id) DO UPDATE SET
        duration = duration * {1 - NEWEST_COUNTS} + :duration * {NEWEST_COUNTS}, peak_rss = :peak_rss,
        outcome = :outcome, cause = :cause, runs = runs + 1, failures = failures + :failed, last_run = :now
"""  # noqa: S608 - only a constant of ours is put in


def _values_of(row: Row) -> dict[str, object]:
    return {**asdict(row), "failed": row.outcome not in GOOD, "now": time.time()}


def _row_of(report: TestReport, shared: Counter[int | None]) -> Row:
    last = report.attempts[-1]
    # what it cost, its part of its process included, is what a schedule is made from
    cost = last.duration / shared[last.process_id]
    peak = last.memory_usage.get("peak_rss")
    return Row(report.id, max(cost, report.duration), peak, report.outcome, report.cause)
