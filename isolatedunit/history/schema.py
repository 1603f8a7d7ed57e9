"""The tables of the history file, and the conversion of files that an earlier isolatedunit wrote.

Format 4 knows what has been shown about classes whose tests may share a process. Format 3 knows which tests were to run
and did not. Format 2 has a row for each run of a test. Format 1 kept the recent
runs of a test as one text, newest first, with ``;`` between them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

FORMAT = 4
"""The ``user_version`` of the file."""

RUNS_KEPT = 25
"""How many of the last runs of each test are kept."""

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS tests (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, duration REAL NOT NULL, peak_rss INTEGER,
        outcome TEXT NOT NULL, cause TEXT, runs INTEGER NOT NULL, failures INTEGER NOT NULL, last_run REAL NOT NULL,
        message TEXT
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS runs (
        test INTEGER NOT NULL, at REAL NOT NULL, duration REAL NOT NULL, outcome TEXT NOT NULL, cause TEXT,
        PRIMARY KEY (test, at)
    ) WITHOUT ROWID
    """,
    f"""
    CREATE TRIGGER IF NOT EXISTS forget_runs AFTER INSERT ON runs BEGIN
        DELETE FROM runs WHERE test = NEW.test AND at <= (
            SELECT at FROM runs WHERE test = NEW.test ORDER BY at DESC LIMIT 1 OFFSET {RUNS_KEPT}
        );
    END
    """,  # noqa: S608 - only a constant of ours is put in
    """
    CREATE TRIGGER IF NOT EXISTS forget_test AFTER DELETE ON tests BEGIN
        DELETE FROM runs WHERE test = OLD.number;
    END
    """,
    """
    CREATE TABLE IF NOT EXISTS shared_imports (
        source TEXT PRIMARY KEY, imports TEXT NOT NULL, last_run REAL NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS unreached (id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE IF NOT EXISTS classes (
        id TEXT NOT NULL, home TEXT NOT NULL, verdicts TEXT NOT NULL, runs INTEGER NOT NULL, refused INTEGER NOT NULL,
        reason TEXT NOT NULL, sources TEXT NOT NULL, imports TEXT NOT NULL, shared INTEGER NOT NULL,
        digest TEXT NOT NULL, last_run REAL NOT NULL, PRIMARY KEY (id, home)
    ) WITHOUT ROWID
    """,
)

_OF_FORMAT_1 = (
    "CREATE TABLE IF NOT EXISTS recent (id TEXT PRIMARY KEY, runs TEXT NOT NULL, message TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS trunks (source TEXT PRIMARY KEY, imports TEXT NOT NULL, last_run REAL NOT NULL)",
    "ALTER TABLE tests RENAME TO old_tests",
)
"""Adds the tables that the first files of format 1 did not have, and frees the name ``tests``."""

_VERSION_AND_TABLES = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"

_LONGEST_OLD_TEXT = 800  # characters, after which the oldest entry was cut off in the middle


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Make all the changes in the block, or none; *database* must have ``isolation_level=None``."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def format_of(database: sqlite3.Connection) -> int:
    """The format of the file; 0 if it has no tables yet.

    Raises `sqlite3.Error` for a newer format, for no database, and for the database of another program.
    """
    # in one statement: another process may give a new file its tables at this moment
    version, tables = database.execute(_VERSION_AND_TABLES).fetchone()
    if version > FORMAT:
        raise sqlite3.DatabaseError(f"written by a newer isolatedunit (format {version})")
    if tables and not version:
        raise sqlite3.DatabaseError("the database of another program")
    return int(version)


def bring_up_to_date(database: sqlite3.Connection) -> None:
    """Give a new file its tables, or convert one of an earlier format; has to be called in a transaction."""
    version = format_of(database)
    if version == FORMAT:
        return
    if version == 1:
        for statement in _OF_FORMAT_1:
            database.execute(statement)
    for statement in _TABLES:
        database.execute(statement)
    if version == 1:
        _copy_format_1(database)
    database.execute(f"PRAGMA user_version = {FORMAT}")


def _copy_format_1(database: sqlite3.Connection) -> None:
    columns = "id, duration, peak_rss, outcome, cause, runs, failures, last_run"
    database.execute(
        f"INSERT INTO tests ({columns}, message) "  # noqa: S608 - only a constant of ours is put in
        f"SELECT {columns}, (SELECT message FROM recent WHERE recent.id = old_tests.id) FROM old_tests"
    )
    for number, text in database.execute("SELECT number, recent.runs FROM tests JOIN recent USING (id)").fetchall():
        rows = ((number, *run) for run in _read_old_runs(text))
        database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)", rows)
    database.execute("INSERT INTO shared_imports SELECT source, imports, last_run FROM trunks")
    for table in ("old_tests", "recent", "trunks"):
        database.execute(f"DROP TABLE {table}")


def _read_old_runs(text: str) -> Iterator[tuple[float, float, str, str | None]]:
    """When, how long, outcome and cause of each run in a text of format 1."""
    entries = text.split(";")
    if len(text) >= _LONGEST_OLD_TEXT:
        entries.pop()
    for entry in entries:
        with suppress(ValueError):
            at, duration, outcome, *cause = entry.split(" ", 3)
            yield float(at), float(duration), outcome, cause[0] if cause else None
