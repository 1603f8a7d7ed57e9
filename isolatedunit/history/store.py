"""What past runs tell about tests: a listener that remembers, in one SQLite file.

Nothing depends on it. The file may be deleted at any time; where it cannot be read or written a run
goes on without. Its table ``tests`` has ``id``, ``duration`` in seconds (a mean in which each
run counts for half of all before it), ``peak_rss`` in bytes, ``outcome`` and ``cause`` of the last
run, ``runs`` and ``failures`` so far, ``last_run`` in seconds since 1970. Its table ``recent`` has by
the same ``id`` the last of these ``runs``, newest first, as many as fit into `RECENT_SIZE` characters, and
the ``message`` of the last failure. Its table ``shared_imports`` has what the modules of a source of tests (what the
command line named) imported together, in JSON.

A fixture that failed, or a module that could not be imported, has a row until tests of it have run again. What
has not run for `KEPT_FOR` seconds is forgotten: it may be there no more.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace

from isolatedunit.model.events import Event, RunFinished, TestFinished
from isolatedunit.model.past import Past, units_above
from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD, TestReport

NEWEST_COUNTS = 0.5
"""How much the newest duration counts against the mean of those before it."""

RECENT_SIZE = 800
"""Characters that the recent runs of a test have at most: some 25 runs."""

KEPT_FOR = 90 * 24 * 3600.0
"""Seconds for which a test is remembered that does not run any more."""

LONGEST_MESSAGE = 500
"""Characters of a failure's message that are kept."""

SharedImportsPlan = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
"""What is imported once for several modules: what is put into ``sys.path``, and then the import statements."""

_IMPORT = re.compile(r"import [\w.]+|from [\w.]+ import \w+")
_BUSY_TIMEOUT = 5.0
_VERSION = 1
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS tests (
        id TEXT PRIMARY KEY, duration REAL NOT NULL, peak_rss INTEGER, outcome TEXT NOT NULL, cause TEXT,
        runs INTEGER NOT NULL, failures INTEGER NOT NULL, last_run REAL NOT NULL
    ) WITHOUT ROWID
"""
_SCHEMA_OF_TRUNKS = """
    CREATE TABLE IF NOT EXISTS trunks (
        source TEXT PRIMARY KEY, imports TEXT NOT NULL, last_run REAL NOT NULL
    ) WITHOUT ROWID
"""
_SCHEMA_OF_RECENT = """
    CREATE TABLE IF NOT EXISTS recent (id TEXT PRIMARY KEY, runs TEXT NOT NULL, message TEXT) WITHOUT ROWID
"""


@record(frozen=True)
class Row:
    """What became of one test."""

    id: str
    duration: float
    peak_rss: int | None
    outcome: str
    cause: str | None
    message: str = ""


@record(frozen=True)
class Once:
    """One of the recent runs of a test: when, in seconds since 1970, how long, in seconds, and what came of it."""

    at: float
    duration: float
    outcome: str
    cause: str | None


@record(frozen=True)
class Recent:
    """The recent runs of one test, the oldest first, and the message of its last failure."""

    id: str
    runs: tuple[Once, ...]
    message: str


class History:
    """The file at *path*: `read` what it has, hear of a run, and write that down at its end.

    With *only_reads* nothing is written: shards of one run must all see the same past.
    """

    def __init__(self, path: str, *, only_reads: bool = False) -> None:
        self._path = os.path.abspath(path)
        self._only_reads = only_reads
        self._rows: list[tuple[Row, float, int | None]] = []
        self._shared: Counter[int | None] = Counter()
        self._above: set[str] = set()
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
            self._give_up(exception)
            return {}

    def read_recent(self) -> list[Recent]:
        """The recent runs of all tests; raises `sqlite3.Error`, and `FileNotFoundError` where there is no file."""
        if not os.path.isfile(self._path):
            raise FileNotFoundError(self._path)
        with closing(self._open()) as database:
            database.execute(_SCHEMA_OF_RECENT)
            rows = database.execute("SELECT id, runs, message FROM recent ORDER BY id").fetchall()
        return [Recent(name, _read_runs(runs), message or "") for name, runs, message in rows]

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        if self._only_reads:
            return
        if isinstance(event, TestFinished):
            report = event.report
            if (report.attempts and not report.is_fixture) or report.outcome not in GOOD:
                self._take(report)
        elif isinstance(event, RunFinished):
            rows = [_with_cost(row, cost / self._shared[process]) for row, cost, process in self._rows]
            # a test that ran several times failed if it failed once
            worst = {row.id: row for row in sorted(rows, key=lambda row: row.outcome not in GOOD)}
            self.learn([*worst.values()], self._above - worst.keys())
            self._rows, self._shared, self._above = [], Counter(), set()

    def _take(self, report: TestReport) -> None:
        """Keep what matters of a report, which is little: there may be very many."""
        last = report.attempts[-1] if report.attempts else None
        process = None if last is None else last.process_id
        self._shared[process] += 1
        # what it cost, its part of its process included, is what a schedule is made from
        self._rows.append((_row_of(report), 0.0 if last is None else last.duration, process))
        if report.planned is not None:
            self._above.update(map(_storable, units_above(report.planned)))

    def learn(self, rows: Sequence[Row], mended: Iterable[str] = ()) -> None:
        """Write down what became of these tests, and that nothing is wrong any more with what is *mended*.

        Where that fails, `problem` says why.
        """
        try:
            self._make_directory()
            with closing(self._open_to_write()) as database, database:
                database.execute(_SCHEMA)
                database.execute(_SCHEMA_OF_RECENT)
                for table in ("tests", "recent"):
                    database.executemany(f"DELETE FROM {table} WHERE id = ?", ((one,) for one in mended))  # noqa: S608
                now = time.time()
                for table in ("recent", "tests"):
                    old = f"DELETE FROM {table} WHERE id IN (SELECT id FROM tests WHERE last_run < ?)"  # noqa: S608
                    database.execute(old, (now - KEPT_FOR,))
                database.executemany(_UPSERT, (_values_of(row, now) for row in rows))
                database.executemany(_UPSERT_RECENT, (_recent_of(row, now) for row in rows))
        except (OSError, sqlite3.Error, UnicodeError) as exception:
            self._give_up(exception)

    def read_shared_imports(self, source: str) -> SharedImportsPlan:
        """What modules imported together when this *source* of tests was run last; nothing where that is not known."""
        if not os.path.isfile(self._path):
            return ()
        try:
            with closing(self._open()) as database:
                rows = database.execute("SELECT imports FROM trunks WHERE source = ?", (_storable(source),)).fetchall()
            return tuple(
                (tuple(path), tuple(statements))
                for path, statements in (json.loads(rows[0][0]) if rows else ())
                if all(map(_IMPORT.fullmatch, statements)) and all(type(one) is str for one in path)
            )
        except (sqlite3.Error, ValueError, TypeError):
            return ()  # as in a file of an earlier isolatedunit, which has no such table

    def learn_shared_imports(self, source: str, shared_imports: SharedImportsPlan) -> None:
        """Write down what modules imported together, where that is not known yet."""
        if self._only_reads or self.problem is not None or shared_imports == self.read_shared_imports(source):
            return
        try:
            self._make_directory()
            with closing(self._open_to_write()) as database, database:
                database.execute(_SCHEMA_OF_TRUNKS)
                now = time.time()
                database.execute("DELETE FROM trunks WHERE last_run < ?", (now - KEPT_FOR,))
                row = (_storable(source), json.dumps(shared_imports), now)
                database.execute("INSERT OR REPLACE INTO trunks (source, imports, last_run) VALUES (?, ?, ?)", row)
        except (OSError, sqlite3.Error, UnicodeError) as exception:
            self._give_up(exception)

    def _give_up(self, exception: Exception) -> None:
        # as it may be after a power failure; a file that is no database at all may be anybody's
        advice = "; delete it, and the next run begins a new one" if "malformed" in str(exception) else ""
        self.problem = f"{self._path}: {exception}{advice}"

    def _make_directory(self) -> None:
        directory = os.path.dirname(self._path)
        if not os.path.isdir(directory):
            os.makedirs(directory, mode=0o700, exist_ok=True)  # another run may just have made it
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

    def _open_to_write(self) -> sqlite3.Connection:
        database = self._open()
        # every run would wait for the disk several times: a file that is not needed may be lost when the power fails
        database.execute("PRAGMA synchronous = OFF")
        if database.execute("PRAGMA user_version").fetchone() != (_VERSION,):
            database.execute(f"PRAGMA user_version = {_VERSION}")
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


_UPSERT_RECENT = f"""
    INSERT INTO recent (id, runs, message) VALUES (:id, :run, :message)
    ON CONFLICT (id) DO UPDATE SET
        runs = substr(:run || ';' || runs, 1, {RECENT_SIZE}), message = coalesce(:message, message)
"""  # noqa: S608 - only a constant of ours is put in


_WRITTEN = ("id", "duration", "peak_rss", "outcome", "cause")


def _values_of(row: Row, now: float) -> dict[str, object]:
    values = {name: getattr(row, name) for name in _WRITTEN}
    return {**values, "failed": row.outcome not in GOOD, "now": now}


def _with_cost(row: Row, cost: float) -> Row:
    return row if cost <= row.duration else replace(row, duration=cost)


def _recent_of(row: Row, now: float) -> dict[str, object]:
    run = f"{now:.2f} {row.duration:.4g} {row.outcome}{f' {row.cause}' if row.cause else ''}"
    # that the last failure had no message is something to know, too
    return {"id": row.id, "run": run, "message": None if row.outcome in GOOD else row.message}


def _read_runs(runs: str) -> tuple[Once, ...]:
    entries = runs.split(";")
    if len(runs) >= RECENT_SIZE:
        entries.pop()  # the oldest may have been cut
    found = []
    for entry in reversed(entries):
        at, duration, outcome, *cause = entry.split(" ", 3)
        found.append(Once(float(at), float(duration), outcome, cause[0] if cause else None))
    return tuple(found)


def _row_of(report: TestReport) -> Row:
    peak = report.attempts[-1].memory_usage.get("peak_rss") if report.attempts else None
    cause = "flaky" if report.flaky else report.cause
    message = "" if report.outcome in GOOD else _storable(report.message[:LONGEST_MESSAGE])
    return Row(_storable(report.id), report.duration, peak, report.outcome, cause, message)


def _storable(text: str) -> str:
    """*text* as SQLite can have it: in UTF-8, which has no halves of surrogate pairs."""
    return text.encode("utf-8", "backslashreplace").decode()
