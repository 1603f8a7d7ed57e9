"""The databases that tests of a Django project may open, in the process that has made them and in the tests' forks.

No test ever opens another database. Which ones are test databases is noted once, when Django has made them, and in each
test's process every connection that Django makes is held against that. One to anything else is refused before it
exists, and the refusal is written to a file, whatever the test does with the exception: a run that has met one ends.

A SQLite database in memory is part of the process, so each fork has a copy of its own. Of any other database there is
one clone for each slot. A clone that may not be as it was is made anew before the next test in its slot.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from isolatedunit.model.events import Event, RetryScheduled, TestFinished
from isolatedunit.model.variables import SLOT_VARIABLE


class Identity(NamedTuple):
    """What tells one database from another."""

    vendor: str
    name: str
    host: str
    port: str

    def __str__(self) -> str:
        where = f" at {self.host}{':' if self.port else ''}{self.port}" if self.host or self.port else ""
        return f"{self.name!r} ({self.vendor}{where})"


class NotATestDatabase(BaseException):
    """A test was about to open a database that is no test database. No ``except Exception`` of a test catches this."""


def identify(connection: Any) -> Identity:
    """The database that a connection of Django's is for."""
    settings = connection.settings_dict
    host, port = str(settings.get("HOST") or ""), str(settings.get("PORT") or "")
    return Identity(connection.vendor, str(settings["NAME"]), host, port)


def is_in_memory(connection: Any) -> bool:
    """Whether the database is part of this process."""
    look = getattr(connection.creation, "is_in_memory_db", None)
    return look is not None and bool(look(connection.settings_dict["NAME"]))


def is_testing() -> bool:
    """Whether Django's test environment is set up in this process, as its own test runner does it."""
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return hasattr(state, "saved_data")


class TestDatabases:
    """The test databases that were made in this process: those of *connections*.

    `fork_safely` prepares this process for its forks, `begin` a fork for its test, of which there are *slots* at once.
    With `shows_queries` set, tests write their queries to standard error.
    """

    __test__ = False  # pytest: this is not a test

    def __init__(self, connections: Iterable[Any], slots: int = 1) -> None:
        self._made = {connection.alias: identify(connection) for connection in connections}
        self._on_server = [one for one in _all() if not is_in_memory(one) and identify(one) in self._made.values()]
        self._cloned = [one for one in self._on_server if one.features.can_clone_databases]
        self.slots = slots if len(self._cloned) == len(self._on_server) else 1
        self.shows_queries = False
        self._clones: list[tuple[Any, str]] = []
        self._folder = tempfile.mkdtemp(prefix="isolatedunit-databases-")

    # ---- in the process that has made them

    def make_clones(self, verbosity: int, *, keepdb: bool) -> None:
        """Make a clone for each slot of each database that is no part of this process."""
        cloned: set[Identity] = set()
        for connection in self._cloned:
            if identify(connection) in cloned:
                continue
            cloned.add(identify(connection))
            for slot in range(1, self.slots + 1):
                connection.creation.clone_test_db(suffix=str(slot), verbosity=verbosity, keepdb=keepdb)
                self._clones.append((connection, str(slot)))
        if keepdb:
            self.doubt()  # nobody knows what an earlier run has left in them

    def fork_safely(self) -> None:
        """Close every connection that forks would share, and those to other databases, which nobody is to find open."""
        for connection in _all():
            if not (is_in_memory(connection) and identify(connection) in self._made.values()):
                connection.close()

    def doubt(self, slot: int | None = None) -> None:
        """Have the clones of this slot made anew before its next test; without a number, those of all slots."""
        for number in range(1, self.slots + 1) if slot is None else (slot,):
            with open(os.path.join(self._folder, str(number)), "w", encoding="ascii"):
                pass

    @property
    def refused(self) -> list[str]:
        """What was refused, and by which database it is known."""
        path = os.path.join(self._folder, "refused")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()

    def close(self, verbosity: int, *, keepdb: bool) -> None:
        """Remove the clones, unless they are kept."""
        try:
            for connection, slot in self._clones:
                connection.creation.destroy_test_db(suffix=slot, verbosity=verbosity, keepdb=keepdb)
        finally:
            self._clones.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    # ---- in the fork of it that a test runs in

    def begin(self) -> None:
        """Give this process the databases of its slot, and refuse all others from now on.

        Raises `NotATestDatabase` if an alias that has a test database leads to another.
        """
        made = set(self._made.values())
        for connection in _all():
            if connection.alias in self._made:
                _check(connection, made, self._note)
        slot = os.environ[SLOT_VARIABLE]
        self._renew(slot)
        allowed = made - set(map(identify, self._cloned))
        # all of them before any is changed: two aliases may have one database
        settings = [(one.settings_dict, one.creation.get_test_db_clone_settings(slot)) for one in self._cloned]
        for of_alias, of_clone in settings:
            of_alias.update(of_clone)
        guard(allowed | set(map(identify, self._cloned)), self._note)
        if self.shows_queries:
            _show_queries()

    def _renew(self, slot: str) -> None:
        doubtful = os.path.join(self._folder, slot)
        if not os.path.exists(doubtful):
            return
        renewed: set[Identity] = set()
        for connection in self._cloned:
            if identify(connection) not in renewed:
                renewed.add(identify(connection))
                if connection.vendor == "postgresql":
                    _end_sessions(connection, connection.creation.get_test_db_clone_settings(slot)["NAME"])
                connection.creation.clone_test_db(suffix=slot, verbosity=0, keepdb=False)
        os.unlink(doubtful)

    def _note(self, text: str) -> None:
        with open(os.path.join(self._folder, "refused"), "a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def refuse_all() -> None:
    """Refuse every database but those in memory, unless this process is one in which Django makes test databases."""
    if not is_testing():
        guard(set(), lambda _: None)


def _show_queries() -> None:
    """Write each query to standard error, which is captured, as Django's own result class has them for its reports."""
    import logging

    from django.test import runner

    shown = logging.StreamHandler(sys.stderr)
    if hasattr(runner, "QueryFormatter"):  # since Django 5
        shown.setFormatter(runner.QueryFormatter())
    logger = logging.getLogger("django.db.backends")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(shown)


def _end_sessions(connection: Any, name: str) -> None:
    """End what still uses this database of PostgreSQL's: its server may not know yet that a killed test is gone."""
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def guard(allowed: set[Identity], note: Callable[[str], None]) -> None:
    """Refuse every connection of Django's to a database that is not *allowed*; *note* is called with each refusal."""
    from django.db.backends.base.base import BaseDatabaseWrapper

    connect = BaseDatabaseWrapper.connect

    def connect_to_test_database(self: Any) -> None:
        """Connect to the database, which has to be a test database. Raises `NotATestDatabase`."""
        _check(self, allowed, note)
        connect(self)

    BaseDatabaseWrapper.connect = connect_to_test_database


def _check(connection: Any, allowed: set[Identity], note: Callable[[str], None]) -> None:
    found = identify(connection)
    if found not in allowed and not is_in_memory(connection):  # which is nobody else's
        known = ", ".join(sorted(map(str, allowed))) or "none"
        text = (
            f"the database alias {connection.alias!r} leads to {found}, which is no test database; there are: {known}"
        )
        note(text)
        raise NotATestDatabase(text)


def _all() -> Iterator[Any]:
    from django.db import connections

    for alias in connections:
        yield connections[alias]


def looks_like_tests(connection: Any) -> bool:
    """Whether a database that somebody else has set up is a test database, as far as its name tells."""
    if is_in_memory(connection):
        return True
    from django.db.backends.base.creation import TEST_DATABASE_PREFIX

    name = str(connection.settings_dict["NAME"])
    wanted = connection.settings_dict["TEST"]["NAME"]
    return name == str(wanted) if wanted else os.path.basename(name).startswith(TEST_DATABASE_PREFIX)


def find_test_databases() -> set[Identity]:
    """The databases of this process that look like test databases."""
    return {identify(connection) for connection in _all() if looks_like_tests(connection)}


@contextmanager
def adopted(slots: int) -> Iterator[TestDatabases]:
    """The test databases that Django's own runner has made in this process, for forks of it."""
    databases = TestDatabases([one for one in _all() if looks_like_tests(one)], slots)
    try:
        databases.make_clones(0, keepdb=False)
        yield databases
    finally:
        databases.close(0, keepdb=False)


class Caretaker:
    """Keeps *databases* as tests are to find them, and ends a run in which a test reached for others: a listener.

    *tests* are those of the run, by their numbers. *stop* is called with the reason to end the run.
    """

    def __init__(self, databases: TestDatabases, tests: Mapping[int, Any], stop: Callable[[str], None]) -> None:
        from django.test import SimpleTestCase, TestCase, TransactionTestCase

        def leaves_all_as_it_was(test: Any) -> bool:
            return isinstance(test, TestCase) or (
                isinstance(test, SimpleTestCase) and not isinstance(test, TransactionTestCase)
            )

        self._harmless = {number for number, test in tests.items() if leaves_all_as_it_was(test)}
        self._databases = databases
        self._stop = stop

    def handle(self, event: Event) -> None:
        """Note whose clones may not be as they were."""
        if isinstance(event, RetryScheduled):
            self._databases.doubt()
        elif isinstance(event, TestFinished):
            report = event.report
            is_harmless = report.planned is not None and report.planned.number in self._harmless
            for attempt in report.attempts[-1:]:
                if attempt.slot is not None and not (is_harmless and report.cause is None):
                    self._databases.doubt(attempt.slot)
            if self._databases.refused:
                self._stop("a test reached for a database that is no test database")
