"""Without these, what stands in a history file, or who holds it, costs a run its results or seconds of its time."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from unittest import mock

from isolatedunit.cli.history import history_command
from isolatedunit.errors import OptionError
from isolatedunit.history import store
from isolatedunit.history.store import History, Row
from tests.support.projects import ProjectTestCase

COLUMNS = ("duration", "peak_rss", "outcome", "runs", "failures")
OF_RUNS = ("at", "duration", "outcome", "cause")
WRONG = ("'x'", "x'00ff'", "-1", "9e999", "1.5e300")


class DamageTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = os.path.join(self.directory, "history.sqlite3")
        History(self.path).learn([Row("a", 1.0, 100, "passed", None)])

    def execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement)

    def contents(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()

    def test_values_of_any_type_are_told_and_used_for_nothing(self) -> None:
        for column in COLUMNS:
            for value in WRONG:
                if column == "outcome" and not value.startswith("x"):
                    continue  # any text is one, and a number becomes one
                with self.subTest(column=column, value=value):
                    os.unlink(self.path)
                    History(self.path).learn([Row("a", 1.0, 100, "passed", None)])
                    self.execute(f"UPDATE tests SET {column} = {value}")  # noqa: S608 - our own names
                    history = History(self.path)
                    self.assertEqual(history.read(), {})
                    self.assertRegex(history.problem or "", "malformed: .* makes no sense in a row of 'a'; delete it")
                    before = self.contents()
                    history.learn([Row("b", 1.0, None, "passed", None)])
                    self.assertEqual(self.contents(), before)

    def test_the_command_that_lists_runs_names_what_is_wrong(self) -> None:
        for column in OF_RUNS:
            with self.subTest(column):
                os.unlink(self.path)
                History(self.path).learn([Row("a", 1.0, 100, "passed", None)])
                self.execute(f"UPDATE runs SET {column} = x'00ff'")  # noqa: S608 - our own names
                with self.assertRaisesRegex(OptionError, "cannot be read: malformed: .* in a row of 'a'"):
                    history_command(["--history", self.path])

    def test_a_name_that_is_no_text(self) -> None:
        self.execute("UPDATE tests SET id = x'ff'")
        history = History(self.path)
        self.assertEqual(history.read(), {})
        self.assertIsNotNone(history.problem)

    def test_an_exception_that_nobody_expects_costs_the_history_only(self) -> None:
        with mock.patch.object(store, "bring_up_to_date", side_effect=RecursionError("deep")):
            history = History(self.path)
            history.learn([Row("b", 1.0, None, "passed", None)])
        self.assertIn("deep", history.problem or "")

    def test_a_lock_is_waited_for_a_second_at_most(self) -> None:
        self.assertLessEqual(store._BUSY_TIMEOUT, 1.0)

    @mock.patch.object(store, "_BUSY_TIMEOUT", 0.01)
    def test_a_file_that_is_locked_is_waited_for_once(self) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            history = History(self.path)
            with mock.patch.object(sqlite3, "connect", side_effect=sqlite3.connect) as connect:
                self.assertEqual(history.read_shared_imports("all"), ())
                self.assertEqual(history.read(), {})
                history.learn([Row("b", 1.0, None, "passed", None)])
                history.learn_shared_imports("all", (((), ("import some",)),))
            self.assertIn("locked", history.problem or "")
            self.assertEqual(connect.call_count, 1)
            self.assertEqual(connect.call_args.kwargs["timeout"], 0.01)

    @mock.patch.object(store, "_BUSY_TIMEOUT", 0.01)
    def test_a_copy_does_not_wait_at_all(self) -> None:
        """SQLite's backup asks again and again, without an end, whether the lock is gone."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as holder:
            holder.execute("PRAGMA user_version = 1")
            with mock.patch.object(store, "format_of", side_effect=lambda _: holder.execute("BEGIN EXCLUSIVE") and 1):
                history = History(self.path)
                self.assertEqual(history.read(), {})
        self.assertIn("locked", history.problem or "")
