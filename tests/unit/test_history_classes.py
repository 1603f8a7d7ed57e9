"""Evidence for classes: without these tests, it could be taken for true of sources that have changed since."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import replace
from unittest import mock

from isolatedunit.history.classes import describe_classes, table_of_classes
from isolatedunit.history.store import History
from isolatedunit.model.past import ClassPast
from tests.support.projects import ProjectTestCase

KEY = ("m.C", '{"module": "m"}')
OTHER = ("m.D", '{"module": "m"}')


class ClassesTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = os.path.join(self.directory, "history.sqlite3")
        files = self.write("m.py", "x = 1"), self.write("n.py", "y = 1")
        self.past = ClassPast({"m.C.a": "passed", "m.C.b": "skipped"}, 3, sources=files, imports=("n",), shared=2)

    def learn(self) -> None:
        history = History(self.path)
        history.learn_classes({KEY: self.past, OTHER: ClassPast({}, reason="m.D.a: failed alone")})
        self.assertIsNone(history.problem)

    def is_true(self) -> bool:
        past, is_true = History(self.path).read_classes()[KEY]
        self.assertEqual(past, self.past)
        return is_true

    def test_what_was_learned_is_read(self) -> None:
        self.assertEqual(History(self.path).read_classes(), {})
        self.learn()
        self.assertTrue(self.is_true())
        self.assertEqual(History(self.path).read_classes()[OTHER], (ClassPast({}, reason="m.D.a: failed alone"), False))

    def test_it_is_true_of_the_same_sources_only(self) -> None:
        self.learn()
        self.write("n.py", "y = 2")
        self.assertFalse(self.is_true())
        self.write("n.py", "y = 1")
        self.assertTrue(self.is_true())
        os.unlink(os.path.join(self.directory, "n.py"))
        self.assertFalse(self.is_true())

    def test_it_is_true_of_the_same_python_and_packages_only(self) -> None:
        folder = os.path.join(self.directory, "site-packages")
        os.makedirs(os.path.join(folder, "needed-1.0.dist-info"))
        with mock.patch.object(sys, "path", [*sys.path, folder]):
            self.learn()
            self.assertTrue(self.is_true())
            os.rename(os.path.join(folder, "needed-1.0.dist-info"), os.path.join(folder, "needed-1.1.dist-info"))
            self.assertFalse(self.is_true())
            os.rename(os.path.join(folder, "needed-1.1.dist-info"), os.path.join(folder, "needed-1.0.dist-info"))
            with mock.patch.object(sys, "version", "4.0"):
                self.assertFalse(self.is_true())

    def test_what_changed_during_the_run_is_not_learned(self) -> None:
        history = History(self.path)
        os.utime(self.past.sources[0], (time.time() + 60,) * 2)
        history.learn_classes({KEY: self.past})
        self.assertEqual(History(self.path).read_classes(), {})

    def test_a_shard_learns_nothing(self) -> None:
        History(self.path, only_reads=True).learn_classes({KEY: self.past})
        self.assertFalse(os.path.exists(self.path))

    def test_values_that_make_no_sense_are_a_problem(self) -> None:
        for column, value in (
            ("verdicts", "[]"),
            ("sources", "{}"),
            ("imports", "[1]"),
            ("runs", "x"),
            ("sources", "["),
        ):
            self.learn()
            with closing(sqlite3.connect(self.path)) as database, database:
                database.execute(f"UPDATE classes SET {column} = ? WHERE id = 'm.C'", (value,))  # noqa: S608
            history = History(self.path)
            self.assertEqual(history.read_classes(), {})
            self.assertIsNotNone(history.problem)

    def test_the_list_of_those_without_standing(self) -> None:
        refused = ClassPast({}, refused=True, reason="m.D.a left a thread running", sources=("m.py",))
        classes = describe_classes({KEY: (self.past, True), OTHER: (refused, True)})
        self.assertEqual([(one["id"], one["standing"]) for one in classes], [("m.D", False), ("m.C", True)])
        table = table_of_classes(classes, 10)
        assert table is not None
        self.assertEqual(table[0], "Classes of --isolation auto: 1 of 2 share a process")
        self.assertEqual(table[2:], ([("m.D", "m.D.a left a thread running")], 0))
        changed = describe_classes({KEY: (self.past, False), OTHER: (replace(self.past), False)})
        table = table_of_classes(changed, 1)
        assert table is not None
        self.assertEqual((len(table[2]), table[3]), (1, 1))
        self.assertIn("have changed", table[2][0][1])
        self.assertIsNone(table_of_classes([], 10))
