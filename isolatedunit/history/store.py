"""What past runs say about tests: a listener that remembers them, in one SQLite file.

Nothing depends on it. The file may be deleted at any time; where it cannot be read or written a run goes on without
it. Its table ``tests`` has the ``id`` of each test, ``duration`` in seconds (a mean in which each run counts for half
of all before it), ``peak_rss`` in bytes, ``outcome`` and ``cause`` of the last run, ``runs`` and ``failures`` so far,
``last_run`` in seconds since 1970, and the ``message`` of the last failure. Its table ``runs`` has a row for each of
the last runs of a ``test``, which is the ``number`` of one in ``tests``: ``at`` in seconds since 1970, ``duration``,
``outcome`` and ``cause``. Its table ``shared_imports`` has what the modules of a source of tests (what the command
line named) imported together, in JSON.

Its table ``unreached`` has the ids of tests that a run which ended early did not reach, or broke off, and that have not
run since: what was broken off is no failure of theirs.

Its table ``classes`` has what runs with ``isolation=auto`` have shown about classes of tests (see `ClassPast`), and the
``digest`` of the sources for which that is true.

A fixture that failed, or a module that could not be imported, has a row until tests of it have run again. A test that
has not run for `KEPT_FOR` seconds is forgotten: it may not exist any more.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from isolatedunit.history.schema import FORMAT, bring_up_to_date, format_of, transaction
from isolatedunit.history.sources import Sources
from isolatedunit.model.events import Event, RunFinished, TestFinished
from isolatedunit.model.past import ClassKey, ClassPast, Past, units_above
from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD, TestReport
from isolatedunit.model.schema import LARGEST

NEWEST_COUNTS = 0.5
"""The weight of the newest duration; the mean of those before it has the rest."""

KEPT_FOR = 90 * 24 * 3600.0
"""Seconds for which a test is remembered that no longer runs."""

LONGEST_MESSAGE = 500
"""Characters of a failure's message that are kept."""

KnownImports = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
"""What is imported once for several modules: what is put into ``sys.path``, and then the import statements."""

_IMPORT = re.compile(r"import [\w.]+|from [\w.]+ import \w+")
_BUSY_TIMEOUT = 1.0
"""Seconds to wait, once, for another process that has the file locked."""


@record(frozen=True)
class Row:
    """The result of one test in one run: *duration* in seconds, *peak_rss* in bytes."""

    id: str
    duration: float
    peak_rss: int | None
    outcome: str
    cause: str | None
    message: str = ""


@record(frozen=True)
class RecordedRun:
    """One of the last runs of a test: *at* in seconds since 1970, *duration* in seconds, and how it ended."""

    at: float
    duration: float
    outcome: str
    cause: str | None


@record(frozen=True)
class TestHistory:
    """The last runs of one test, the oldest first, and the message of its last failure."""

    __test__ = False

    id: str
    runs: tuple[RecordedRun, ...]
    message: str


class History:
    """The file at *path*: `read` what it has; as a listener, remember a run and add it at its end.

    With *only_reads* nothing is written: all shards of a run must see the same past. Where the file cannot be read or
    written, or has values that make no sense, `problem` says why, and the file is left alone from then on.
    """

    hears = (TestFinished, RunFinished)

    def __init__(self, path: str, *, only_reads: bool = False) -> None:
        self._path = os.path.abspath(path)
        self._only_reads = only_reads
        self._rows: list[tuple[Row, float, int | None]] = []
        self._shared: Counter[int | None] = Counter()
        self._above: set[str] = set()
        self._unreached: set[str] = set()
        self._sources = Sources()
        self.problem: str | None = None

    def read(self) -> dict[str, Past]:
        """All that is known, by the ids of the tests; nothing where there is no file of ours."""
        past: dict[str, Past] = {}
        with self._surviving():
            if self.problem is None and self._is_there:
                with closing(self._open_to_read()) as database:
                    rows = database.execute("SELECT id, duration, peak_rss, outcome, runs, failures FROM tests")
                    past = {row[0]: Past(*row[1:]) for row in map(_check_test, rows)}
        return past

    def read_unreached(self) -> set[str]:
        """The ids of the tests that a run was to reach and did not, and that have not run since."""
        with self._surviving():
            if self.problem is None and self._is_there:
                with closing(self._open_to_read()) as database:
                    return {_check(row, (_TEXT,))[0] for row in database.execute("SELECT id FROM unreached")}
        return set()

    def read_runs(self) -> list[TestHistory]:
        """The last runs of all tests.

        Raises `sqlite3.Error`, `ValueError` for values that make no sense, `FileNotFoundError` where there is no file.
        """
        if not self._is_there:
            raise FileNotFoundError(self._path)
        with closing(self._open_to_read()) as database:
            rows = [_check_run(row) for row in database.execute(_RUNS)]
        return [
            TestHistory(test_id, tuple(RecordedRun(*row[2:]) for row in of_test), message or "")
            for (test_id, message), of_test in itertools.groupby(rows, key=lambda row: row[:2])
        ]

    def handle(self, event: Event) -> None:
        """Remember a test that was settled; at the end of the run, write all of them down."""
        if self._only_reads:
            return
        if isinstance(event, TestFinished):
            report = event.report
            if report.cause == "cancelled":
                self._unreached.add(_storable(report.id))
            elif report.cause == "quarantine":  # the report of an entry, and of no test
                return
            elif (report.attempts and not report.is_fixture) or report.outcome not in GOOD:
                self._keep(report)
        elif isinstance(event, RunFinished):
            rows = [_with_cost(row, cost / self._shared[process]) for row, cost, process in self._rows]
            # a test that ran several times failed if it failed once
            worst = {row.id: row for row in sorted(rows, key=lambda row: row.outcome not in GOOD)}
            self._unreached.update(map(_storable, event.not_run))
            self.learn([*worst.values()], self._above - worst.keys(), self._unreached)
            self._rows, self._shared, self._above, self._unreached = [], Counter(), set(), set()

    def _keep(self, report: TestReport) -> None:
        """Keep what matters of a report, and no more, since there may be very many."""
        last = report.attempts[-1] if report.attempts else None
        process = None if last is None else last.process_id
        self._shared[process] += 1
        # schedules are made from the whole cost, including the test's share of its process
        self._rows.append((_row_of(report), 0.0 if last is None else last.duration, process))
        if report.planned is not None:
            self._above.update(map(_storable, units_above(report.planned)))

    def learn(self, rows: Sequence[Row], mended: Iterable[str] = (), unreached: Iterable[str] = ()) -> None:
        """Add the results in *rows*, and the ids of *unreached* tests, and forget the failures of what is *mended*.

        If that fails, `problem` says why.
        """
        if self.problem is not None:
            return
        with self._surviving():
            self._make_directory()
            with closing(self._open_to_write()) as database, transaction(database):
                bring_up_to_date(database)
                now = time.time()
                database.executemany("DELETE FROM tests WHERE id = ?", ((test_id,) for test_id in mended))
                database.execute("DELETE FROM tests WHERE last_run < ?", (now - KEPT_FOR,))
                database.execute("DELETE FROM unreached WHERE at < ?", (now - KEPT_FOR,))
                database.executemany("DELETE FROM unreached WHERE id = ?", ((row.id,) for row in rows))
                ids = ((test_id, now) for test_id in unreached)
                database.executemany("INSERT OR REPLACE INTO unreached VALUES (?, ?)", ids)
                for statement in (_UPSERT, _ADD_RUN):
                    database.executemany(statement, (_values_of(row, now) for row in rows))

    def read_shared_imports(self, source: str) -> KnownImports:
        """What modules imported together when this *source* of tests ran last; empty if that is not known."""
        rows: list[Any] = []
        with self._surviving():
            if self.problem is None and self._is_there:
                with closing(self._open_to_read()) as database:
                    query = "SELECT imports FROM shared_imports WHERE source = ?"
                    rows = database.execute(query, (_storable(source),)).fetchall()
        try:
            return tuple(
                (tuple(path), tuple(statements))
                for path, statements in (json.loads(rows[0][0]) if rows else ())
                if all(map(_IMPORT.fullmatch, statements)) and all(type(folder) is str for folder in path)
            )
        except (ValueError, TypeError, RecursionError):  # what the run imports takes its place
            return ()

    def read_classes(self) -> dict[ClassKey, tuple[ClassPast, bool]]:
        """What is known about classes, and whether it is true of the sources as they are now."""
        with self._surviving():
            if self.problem is None and self._is_there:
                with closing(self._open_to_read()) as database:
                    rows = database.execute(f"SELECT {', '.join(_OF_CLASS)} FROM classes").fetchall()  # noqa: S608
                return {(row[0], row[1]): self._read_class(row) for row in rows}
        return {}

    def _read_class(self, row: tuple[Any, ...]) -> tuple[ClassPast, bool]:
        _, _, verdicts, runs, refused, reason, sources, imports, shared, digest = _check(row, _KINDS_OF_CLASS)
        known, files, names = json.loads(verdicts), json.loads(sources), json.loads(imports)
        if type(known) is not dict or {*map(type, (files, names))} != {list}:
            raise ValueError(f"malformed: the evidence for {row[0]!r:.200} makes no sense")
        if {*map(type, [*known.values(), *files, *names])} - {str}:
            raise ValueError(f"malformed: the evidence for {row[0]!r:.200} makes no sense")
        past = ClassPast(known, runs, bool(refused), reason, tuple(files), tuple(names), shared)
        return past, bool(files) and digest == self._sources.digest_of(files)

    def learn_classes(self, learned: Mapping[ClassKey, ClassPast]) -> None:
        """Add what a run has shown about classes, but for those whose sources were changed meanwhile."""
        kept = {key: past for key, past in learned.items() if not self._sources.have_changed(past.sources)}
        if not kept or self._only_reads or self.problem is not None:
            return
        with self._surviving():
            self._make_directory()
            now = time.time()
            digest_of = self._sources.digest_of
            rows = [(*_row_of_class(key, past), digest_of(past.sources), now) for key, past in kept.items()]
            with closing(self._open_to_write()) as database, transaction(database):
                bring_up_to_date(database)
                database.execute("DELETE FROM classes WHERE last_run < ?", (now - KEPT_FOR,))
                places = ", ".join("?" * len(rows[0]))
                database.executemany(f"INSERT OR REPLACE INTO classes VALUES ({places})", rows)  # noqa: S608

    def learn_shared_imports(self, source: str, shared_imports: KnownImports) -> None:
        """Add what modules imported together, unless it is known."""
        if self._only_reads or self.problem is not None or shared_imports == self.read_shared_imports(source):
            return
        with self._surviving():
            self._make_directory()
            with closing(self._open_to_write()) as database, transaction(database):
                bring_up_to_date(database)
                now = time.time()
                database.execute("DELETE FROM shared_imports WHERE last_run < ?", (now - KEPT_FOR,))
                row = (_storable(source), json.dumps(shared_imports), now)
                database.execute("INSERT OR REPLACE INTO shared_imports VALUES (?, ?, ?)", row)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Whatever goes wrong with the file costs the history, and not the run."""
        try:
            yield
        except Exception as exception:  # it may be locked, full or damaged, and what stands in it may be anything
            self._give_up(exception)

    def _give_up(self, exception: Exception) -> None:
        # as it may be after a power failure; a file that is no database at all may be anybody's
        advice = "; delete it, and the next run starts a new one" if "malformed" in str(exception) else ""
        self.problem = f"{self._path}: {exception}{advice}"

    def _make_directory(self) -> None:
        make_directory(os.path.dirname(self._path))
        # SQLite would make it readable for everybody; its journal gets the mode of the file
        os.close(open_private(self._path, os.O_RDWR | os.O_CREAT))

    @property
    def _is_there(self) -> bool:
        # an empty file is one of a run that ended before it wrote anything
        return os.path.isfile(self._path) and os.path.getsize(self._path) > 0

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT, isolation_level=None)

    def _open_to_read(self) -> sqlite3.Connection:
        """The file, or a copy of it in memory if it is of an earlier format, since who reads may not write."""
        database = self._open()
        try:
            if format_of(database) == FORMAT:
                return database
            copy = sqlite3.connect(":memory:", isolation_level=None)
            database.backup(copy, progress=_refuse_to_wait)
        except BaseException:
            database.close()
            raise
        database.close()
        with transaction(copy):
            bring_up_to_date(copy)
        return copy

    def _open_to_write(self) -> sqlite3.Connection:
        database = self._open()
        # otherwise every run would wait for the disk several times; this file may be lost when the power fails
        database.execute("PRAGMA synchronous = OFF")
        return database


_BUSY, _LOCKED = 5, 6  # SQLite's own numbers, which Python has names for only from 3.11 on
_TEXT, _NUMBER, _COUNT = (str,), (float, int), (int,)
_TEXT_OR_NONE, _COUNT_OR_NONE = (str, type(None)), (int, type(None))


def _check_test(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return _check(row, (_TEXT, _NUMBER, _COUNT_OR_NONE, _TEXT, _COUNT, _COUNT))


def _check_run(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return _check(row, (_TEXT, _TEXT_OR_NONE, _NUMBER, _NUMBER, _TEXT, _TEXT_OR_NONE))


_OF_CLASS = ("id", "home", "verdicts", "runs", "refused", "reason", "sources", "imports", "shared", "digest")
_KINDS_OF_CLASS = (_TEXT, _TEXT, _TEXT, _COUNT, _COUNT, _TEXT, _TEXT, _TEXT, _COUNT, _TEXT)


def _row_of_class(key: ClassKey, past: ClassPast) -> tuple[Any, ...]:
    texts = json.dumps(dict(past.verdicts)), past.runs, int(past.refused), _storable(past.reason)
    return (*map(_storable, key), *texts, json.dumps(past.sources), json.dumps(past.imports), past.shared)


def _check(row: tuple[Any, ...], kinds: tuple[tuple[type, ...], ...]) -> tuple[Any, ...]:
    """The row of a test; raises `ValueError` where it has what it cannot have: SQLite keeps any value in any column."""
    for value, allowed in zip(row, kinds, strict=True):
        if type(value) not in allowed or (type(value) in _NUMBER and not 0 <= value < LARGEST):
            raise ValueError(f"malformed: {value!r:.80} makes no sense in a row of {row[0]!r:.200}")
    return row


def _refuse_to_wait(status: int, _remaining: int, _total: int) -> None:
    """Raises `sqlite3.OperationalError` where a copy would wait for another process, for as long as that takes."""
    if status in (_BUSY, _LOCKED):
        raise sqlite3.OperationalError("database is locked")


def make_directory(directory: str) -> None:
    """Make the directory of the history, which is no part of the project; does nothing if it is there."""
    if not os.path.isdir(directory):
        os.makedirs(directory, mode=0o700, exist_ok=True)  # another run may have made it a moment ago
        with open(os.path.join(directory, ".gitignore"), "w", encoding="utf-8", opener=open_private) as file:
            file.write("*\n")


def open_private(path: str, flags: int) -> int:
    """Open a file that only its owner may read: the *opener* for `open`."""
    return os.open(path, flags, 0o600)


_UPSERT = f"""
    INSERT INTO tests (id, duration, peak_rss, outcome, cause, runs, failures, last_run, message)
    VALUES (:id, :duration, :peak_rss, :outcome, :cause, 1, :failed, :now, :message)
    ON CONFLICT (id) DO UPDATE SET
        duration = duration * {1 - NEWEST_COUNTS} + :duration * {NEWEST_COUNTS}, peak_rss = :peak_rss,
        outcome = :outcome, cause = :cause, runs = runs + 1, failures = failures + :failed, last_run = :now,
        message = coalesce(:message, message)
"""  # noqa: S608 - only a constant of ours is put in


_ADD_RUN = """
    INSERT OR REPLACE INTO runs (test, at, duration, outcome, cause)
    SELECT number, :now, :duration, :outcome, :cause FROM tests WHERE id = :id
"""

_RUNS = """
    SELECT tests.id, tests.message, runs.at, runs.duration, runs.outcome, runs.cause
    FROM runs JOIN tests ON tests.number = runs.test ORDER BY tests.id, runs.at
"""


_WRITTEN = ("id", "duration", "peak_rss", "outcome", "cause")


def _values_of(row: Row, now: float) -> dict[str, object]:
    values = {name: getattr(row, name) for name in _WRITTEN}
    # a failure without a message replaces the message of the failure before it
    message = None if row.outcome in GOOD and row.cause != "quarantine" else row.message
    return {**values, "failed": row.outcome not in GOOD, "now": now, "message": message}


def _with_cost(row: Row, cost: float) -> Row:
    return row if cost <= row.duration else replace(row, duration=cost)


def _row_of(report: TestReport) -> Row:
    peak = report.attempts[-1].memory_usage.get("peak_rss") if report.attempts else None
    cause = "flaky" if report.flaky else report.cause if report.quarantine is None else "quarantine"
    is_good = report.outcome in GOOD and report.quarantine is None
    message = "" if is_good else _storable(report.message[:LONGEST_MESSAGE])
    planned = report.planned
    test_id = report.id if planned is None or not planned.occurrence else planned.unique_id
    return Row(_storable(test_id), report.duration, peak, report.outcome, cause, message)


def _storable(text: str) -> str:
    """*text* as SQLite can store it: UTF-8 has no lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
