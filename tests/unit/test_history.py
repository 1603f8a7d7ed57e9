"""The history: without these tests, a damaged file could cost a run, or shards could overlap or miss tests."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import unittest
from contextlib import closing
from dataclasses import replace
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from isolatedunit.cli.merge import merge
from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.ordering import Expectations, cut
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.units import group_of
from isolatedunit.errors import OptionError
from isolatedunit.history.store import KEPT_FOR, History, Row
from isolatedunit.model.events import RunFinished, TestFinished
from isolatedunit.model.results import PlannedTest, TestReport
from tests.support.events import ATTEMPT
from tests.support.examples import examples
from tests.support.projects import ProjectTestCase
from tests.support.scheduling import conclude, settle


def planned(number: int, module: str, name: str = "") -> PlannedTest:
    name = name or f"test_{number}"
    return PlannedTest(number, f"{module}.T.{name}", name, None, f"{module}.T", module, home={"module": module})


def order_of(
    tests: list[PlannedTest], expectations: Expectations, slots: int | None = None, **options: Any
) -> list[int]:
    """The numbers of the tests in the order in which they begin: with *slots* one after another."""
    scheduler = Scheduler("run", tests, Options(**{"parallel_by": "test", **options}), expectations, slots)
    order = []
    while (attempt := scheduler.next_attempt(0.0)) is not None:
        order.append(attempt.tests[0].number)
        if slots is not None:
            conclude(attempt)
            settle(scheduler, attempt)
    return order


class FileTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = os.path.join(self.directory, "deep", "history.sqlite3")

    def learn(self, *rows: Row) -> None:
        history = History(self.path)
        history.learn(rows)
        self.assertIsNone(history.problem)

    def test_nothing_is_known_at_first(self) -> None:
        self.assertEqual(History(self.path).read(), {})
        self.assertFalse(os.path.exists(os.path.dirname(self.path)))

    def test_what_was_learnt_is_known(self) -> None:
        self.learn(Row("a", 4.0, 100, "passed", None), Row("b", 1.0, None, "error", "crash"))
        self.learn(Row("a", 2.0, 300, "failed", None))
        past = History(self.path).read()
        self.assertEqual((past["a"].duration, past["a"].peak_rss, past["a"].runs, past["a"].failures), (3.0, 300, 2, 1))
        self.assertEqual((past["a"].failed, past["b"].failed), (True, True))

    def finish(self, *reports: TestReport, not_run: tuple[str, ...] = ()) -> None:
        """Let a run end that reported these."""
        history = History(self.path)
        for report in reports:
            history.handle(TestFinished(0.0, report))
        history.handle(RunFinished(1.0, (), not_run))
        self.assertIsNone(history.problem)

    def test_what_was_not_reached_is_no_failure_and_known_until_it_has_run(self) -> None:
        broken_off = TestReport("b", "error", "cancelled", attempts=(ATTEMPT,), planned=planned(1, "m"))
        failed = TestReport("a", "failed", attempts=(ATTEMPT,), planned=planned(0, "m"))
        self.finish(failed, broken_off, not_run=("c", "d \ud800"))
        self.assertEqual(list(History(self.path).read()), ["a"])
        self.assertEqual(History(self.path).read_unreached(), {"b", "c", "d \\ud800"})
        self.finish(replace(failed, id="c"), not_run=("e",))
        self.assertEqual(History(self.path).read_unreached(), {"b", "d \\ud800", "e"})
        later = time.time() + KEPT_FOR + 1.0
        with mock.patch("isolatedunit.history.store.time.time", lambda: later):
            self.finish(failed)
        self.assertEqual(History(self.path).read_unreached(), set())

    def test_a_file_without_what_was_not_reached(self) -> None:
        self.finish(not_run=("a",))
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute("DROP TABLE unreached")
            database.execute("PRAGMA user_version = 2")
        self.assertEqual(History(self.path).read_unreached(), set())
        self.finish(not_run=("b",))
        self.assertEqual(History(self.path).read_unreached(), {"b"})

    def test_what_does_not_run_any_more_is_forgotten(self) -> None:
        self.learn(Row("gone", 4.0, None, "failed", None), Row("there", 1.0, None, "passed", None))
        later = time.time() + KEPT_FOR / 2
        with mock.patch("isolatedunit.history.store.time.time", lambda: later):
            self.learn(Row("there", 1.0, None, "passed", None))
        self.assertEqual(sorted(History(self.path).read()), ["gone", "there"])
        later += KEPT_FOR / 2 + 1.0
        with mock.patch("isolatedunit.history.store.time.time", lambda: later):
            self.learn(Row("new", 1.0, None, "passed", None))
        self.assertEqual(sorted(History(self.path).read()), ["new", "there"])
        self.assertEqual([test.id for test in History(self.path).read_runs()], ["new", "there"])

    def test_what_is_imported_together_is_known_by_what_was_run(self) -> None:
        shared_imports = ((("/a",), ("import heavy", "from heavy.sub import x")),)
        History(self.path).learn_shared_imports("all", shared_imports)
        self.assertEqual(History(self.path).read_shared_imports("all"), shared_imports)
        self.assertEqual(History(self.path).read_shared_imports("one"), ())
        History(self.path, only_reads=True).learn_shared_imports("one", shared_imports)
        self.assertEqual(History(self.path).read_shared_imports("one"), ())
        History(self.path).learn_shared_imports("all", ())
        self.assertEqual(History(self.path).read_shared_imports("all"), ())

    def test_nothing_but_imports_is_read(self) -> None:
        sound = [["/a"], ["import heavy"]]
        for stored in ("5", "{}", "[5]", '[[["/a"]]]', "[[5, 5]]", "[", "null", '[[[5], ["import os"]]]'):
            self.store(stored)
            self.assertEqual(History(self.path).read_shared_imports("all"), (), stored)
        for statement in ("import os; os.abort()", "import os\nos.abort()", "x", "from os import *", "import os as o"):
            self.store(json.dumps([sound, [[], ["import heavy", statement]]]))
            self.assertEqual(History(self.path).read_shared_imports("all"), ((("/a",), ("import heavy",)),), statement)

    def store(self, imports: str) -> None:
        History(self.path).learn_shared_imports("all", (((), ("import some",)),))
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute("UPDATE shared_imports SET imports = ? WHERE source = 'all'", (imports,))

    def test_its_folder_is_nobodys_project(self) -> None:
        self.learn(Row("a", 1.0, None, "passed", None))
        with open(os.path.join(os.path.dirname(self.path), ".gitignore"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "*\n")

    def test_the_database_of_another_program_stays_as_it_is(self) -> None:
        os.makedirs(os.path.dirname(self.path))
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute("CREATE TABLE tests (name)")
        history = History(self.path)
        self.assertEqual(history.read(), {})
        self.assertIn("the database of another program", history.problem or "")
        history.learn([Row("a", 1.0, None, "passed", None)])
        History(self.path).learn([Row("a", 1.0, None, "passed", None)])
        with closing(sqlite3.connect(self.path)) as database:
            (tables,) = database.execute("SELECT sql FROM sqlite_master").fetchall()
        self.assertEqual(tables, ("CREATE TABLE tests (name)",))

    def test_a_file_that_is_none_costs_nothing_but_the_history(self) -> None:
        path = self.write("history.sqlite3", "this is no database, and it is long enough to be seen as none" * 20)
        history = History(path)
        self.assertEqual(history.read(), {})
        self.assertIn("not a database", history.problem or "")
        history.learn([Row("a", 1.0, None, "passed", None)])
        with open(path, encoding="utf-8") as file:
            self.assertTrue(file.read().startswith("this is no database"))

    def test_a_file_that_was_damaged_may_be_deleted(self) -> None:
        self.learn(*(Row(f"test_{number}", 1.0, None, "passed", None) for number in range(500)))
        with open(self.path, "r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (os.path.getsize(self.path) - 4096))
        history = History(self.path)
        self.assertEqual(history.read(), {})
        self.assertRegex(history.problem or "", r"malformed; delete it, and the next run starts a new one$")

    def test_a_folder_that_cannot_be_made(self) -> None:
        history = History(os.path.join(self.write("file", ""), "history.sqlite3"))
        history.learn([Row("a", 1.0, None, "passed", None)])
        self.assertIsNotNone(history.problem)

    def test_a_folder_that_another_run_makes_meanwhile(self) -> None:
        history = History(os.path.join(self.directory, "new", "history.sqlite3"))
        os.mkdir(os.path.join(self.directory, "new"))
        looks = iter([False])  # as it was when this run looked
        with mock.patch("os.path.isdir", side_effect=lambda _: next(looks, True)):
            history.learn([Row("a", 1.0, None, "passed", None)])
        self.assertIsNone(history.problem)
        self.assertEqual(history.read()["a"].runs, 1)

    def test_a_newer_format_is_left_alone(self) -> None:
        self.learn(Row("a", 1.0, None, "passed", None))
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("PRAGMA user_version = 99")
        history = History(self.path)
        self.assertEqual(history.read(), {})
        self.assertIn("written by a newer isolatedunit", history.problem or "")

    def test_several_at_once(self) -> None:
        self.learn(Row("a", 1.0, None, "passed", None))
        threads = [
            threading.Thread(target=lambda: [self.learn(Row("a", 1.0, None, "passed", None)) for _ in range(10)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(History(self.path).read()["a"].runs, 41)


class OrderTest(unittest.TestCase):
    def test_without_a_past_nothing_changes(self) -> None:
        tests = [planned(number, f"m{number}") for number in range(5)]
        self.assertEqual(order_of(tests, Expectations()), [0, 1, 2, 3, 4])

    def test_the_longest_first_and_the_unknown_before_them(self) -> None:
        tests = [planned(number, f"m{number}") for number in range(4)]
        seconds = {tests[0].id: 1.0, tests[1].id: 5.0, tests[3].id: 3.0}
        self.assertEqual(order_of(tests, Expectations(seconds)), [2, 1, 3, 0])

    def test_what_takes_about_as_long_keeps_its_order(self) -> None:
        tests = [planned(number, f"m{number}") for number in range(6)]
        took = (1.0, 9.0, 0.9, 10.0, 0.81, 0.7)
        seconds = {test.id: cost for test, cost in zip(tests, took, strict=True)}
        self.assertEqual(order_of(tests, Expectations(seconds)), [1, 3, 0, 2, 4, 5])
        short = {test.id: cost / 100 for test, cost in zip(tests, took, strict=True)}
        self.assertEqual(order_of(tests, Expectations(short)), [1, 3, 0, 2, 4, 5])
        very_short = {test.id: cost / 1000 for test, cost in zip(tests, took, strict=True)}
        self.assertEqual(order_of(tests, Expectations(very_short)), [0, 1, 2, 3, 4, 5])
        failed = {tests[5].id}
        expectations = Expectations(very_short, failed, failed_first=True)
        self.assertEqual(order_of(tests, expectations), [5, 0, 1, 2, 3, 4])

    def test_modules_take_turns_where_their_tests_run_side_by_side(self) -> None:
        tests = [planned(number, f"m{number // 3}") for number in range(9)]
        self.assertEqual(order_of(tests, Expectations(), 2), [0, 3, 1, 4, 2, 5, 6, 7, 8])
        self.assertEqual(order_of(tests, Expectations(), 3), [0, 3, 6, 1, 4, 7, 2, 5, 8])
        self.assertEqual(order_of(tests, Expectations(), 1), list(range(9)))
        self.assertEqual(order_of(tests, Expectations(), 2, parallel_by="module"), list(range(9)))
        self.assertEqual(order_of(tests, Expectations(keeps_order=True), 2), list(range(9)))
        seconds = {test.id: 9.0 if test.number in (4, 5, 7) else 1.0 for test in tests}
        self.assertEqual(order_of(tests, Expectations(seconds), 2), [4, 7, 5, 0, 3, 1, 6, 2, 8])

    def test_failed_first_if_asked_for(self) -> None:
        tests = [planned(number, f"m{number}") for number in range(3)]
        seconds = {test.id: 1.0 + test.number for test in tests}
        failed = {tests[0].id}
        self.assertEqual(order_of(tests, Expectations(seconds, failed)), [2, 1, 0])
        self.assertEqual(order_of(tests, Expectations(seconds, failed, failed_first=True)), [0, 2, 1])


def group(test: PlannedTest) -> str:
    return group_of(test, Options())


class CutTest(unittest.TestCase):
    @given(
        st.lists(st.tuples(st.integers(0, 6), st.none() | st.floats(0.0, 100.0)), max_size=40),
        st.integers(1, 5),
    )
    @examples(40)
    def test_every_test_is_in_one_part(self, drawn: list[tuple[int, float | None]], of: int) -> None:
        tests = [planned(number, f"m{module}") for number, (module, _) in enumerate(drawn)]
        seconds = {test.id: cost for test, (_, cost) in zip(tests, drawn, strict=True) if cost is not None}
        parts = [cut(tests, part, of, Expectations(seconds), group) for part in range(1, of + 1)]
        self.assertEqual(sorted(test.number for part in parts for test in part.tests), list(range(len(tests))))
        self.assertEqual(len({part.digest for part in parts}), 1)
        for part in parts:  # in their order, and modules whole
            self.assertEqual(list(part.tests), sorted(part.tests, key=lambda test: test.number))
        places = {(test.module, part.part) for part in parts for test in part.tests}
        self.assertEqual(len(places), len({module for module, _ in places}))

    def test_parts_take_about_the_same_time(self) -> None:
        tests = [planned(number, f"m{number}") for number in range(7)]
        seconds = {test.id: cost for test, cost in zip(tests, (8.0, 4.0, 4.0, 2.0, 2.0, 2.0, 2.0), strict=True)}
        parts = [cut(tests, part, 3, Expectations(seconds), group) for part in (1, 2, 3)]
        self.assertEqual([sum(seconds[test.id] for test in part.tests) for part in parts], [8.0, 8.0, 8.0])

    def test_another_past_is_another_division(self) -> None:
        tests = [planned(number, f"m{number}") for number in range(4)]
        short = {test.id: 1.0 for test in tests}
        one = cut(tests, 1, 2, Expectations({**short, tests[0].id: 9.0}), group)
        two = cut(tests, 1, 2, Expectations({**short, tests[3].id: 9.0}), group)
        self.assertNotEqual(one.digest, two.digest)


class MergeTest(unittest.TestCase):
    def test_a_report_that_was_merged_already(self) -> None:
        report: dict[str, Any] = {"run": {"shard": {"part": None, "of": 2, "digest": "x"}}}
        with self.assertRaisesRegex(OptionError, "is not the report of a shard"):
            merge({"all.json": report})
