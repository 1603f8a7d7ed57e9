"""Trends: without these tests, slow, flaky and failing tests could be confused, or the history grow without end."""

from __future__ import annotations

import os
import sqlite3
import time
import unittest
from contextlib import closing

from isolatedunit.history.schema import FORMAT, RUNS_KEPT
from isolatedunit.history.store import History, RecordedRun, Row, TestHistory
from isolatedunit.history.trends import find_trends, tables_of, trend_of
from tests.support.projects import ProjectTestCase


def runs(*outcomes: str, duration: float = 1.0) -> tuple[RecordedRun, ...]:
    return tuple(RecordedRun(1000.0 + number, duration, outcome, None) for number, outcome in enumerate(outcomes))


class RecollectTest(unittest.TestCase):
    def test_slow_ones_and_their_trend(self) -> None:
        durations = (1.0, 1.0, 2.0, 4.0)
        slow = TestHistory(
            "slow", tuple(RecordedRun(float(at), one, "passed", None) for at, one in enumerate(durations)), ""
        )
        found = find_trends([TestHistory("quick", runs("passed", duration=0.5), ""), slow], 10)
        self.assertEqual(
            [(one.id, one.seconds, one.change) for one in found.slow], [("slow", 4.0, 2.0), ("quick", 0.5, None)]
        )
        self.assertEqual([one.id for one in find_trends([slow, slow, slow], 2).slow], ["slow", "slow"])

    def test_trends_are_drawn(self) -> None:
        self.assertEqual(trend_of((1.0, 2.0, 4.0)), "▃▅█")
        self.assertEqual(trend_of((1.0, 2.0, 4.0), only_ascii=True), "-+#")
        self.assertEqual(trend_of((0.0,)), "▁")
        self.assertEqual(len(trend_of([1.0] * 50)), 12)

    def test_flaky_ones(self) -> None:
        tests = [
            TestHistory("mostly good", runs("passed", "failed", "passed", "passed"), ""),
            TestHistory("good", runs("passed", "skipped"), ""),
            TestHistory("bad", runs("failed", "error"), ""),
            TestHistory("half", runs("passed", "error"), ""),
            TestHistory(
                "tried again", (RecordedRun(0.0, 1.0, "passed", None), RecordedRun(1.0, 1.0, "passed", "flaky")), ""
            ),
        ]
        found = find_trends(tests, 10).flaky
        self.assertEqual(
            [(one.id, one.good, one.runs, one.letters) for one in found],
            [("half", 1, 2, ".E"), ("tried again", 1, 2, ".~"), ("mostly good", 3, 4, ".F..")],
        )

    def test_failing_ones_and_since_when(self) -> None:
        tests = [
            TestHistory("new", runs("passed", "passed", "failed"), "why"),
            TestHistory("old", runs("passed", "failed", "error"), ""),
            TestHistory("mended", runs("failed", "passed"), "why"),
        ]
        found = find_trends(tests, 10).failing
        self.assertEqual(
            [(one.id, one.times, one.since, one.message) for one in found],
            [("new", 1, 1002.0, "why"), ("old", 2, 1001.0, "")],
        )

    def test_what_the_limit_leaves_out_is_counted(self) -> None:
        tests = [TestHistory(f"bad {number}", runs("passed", "failed"), "") for number in range(5)]
        found = find_trends(tests, 2)
        self.assertEqual((len(found.failing), found.more_failing, found.more_flaky), (2, 3, 3))
        self.assertEqual([more for _, _, _, more in tables_of(found)], [0, 3, 3])
        self.assertEqual([more for _, _, _, more in tables_of(find_trends(tests, 5))], [0, 0, 0])


class KeptTest(ProjectTestCase):
    """What the file keeps."""

    def setUp(self) -> None:
        super().setUp()
        self.path = os.path.join(self.directory, "history.sqlite3")
        self.history = History(self.path)

    def learn(self, outcome: str, duration: float = 0.5, message: str = "") -> None:
        self.history.learn([Row("m.C.test", duration, None, outcome, None, message)])
        self.assertIsNone(self.history.problem)

    def test_runs_in_their_order_and_the_last_failure(self) -> None:
        for number, outcome in enumerate(("failed", "passed", "error", "passed")):
            self.learn(outcome, float(number), f"message {number}")
        (recent,) = self.history.read_runs()
        self.assertEqual(
            [(one.outcome, one.duration) for one in recent.runs],
            [("failed", 0.0), ("passed", 1.0), ("error", 2.0), ("passed", 3.0)],
        )
        self.assertEqual(recent.message, "message 2")

    def test_it_does_not_grow_without_end(self) -> None:
        for number in range(200):
            self.learn("unexpectedSuccess", float(number))
        (recent,) = self.history.read_runs()
        self.assertEqual(
            [run.duration for run in recent.runs], [float(number) for number in range(200 - RUNS_KEPT, 200)]
        )
        with closing(sqlite3.connect(self.path)) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM runs").fetchone(), (RUNS_KEPT,))

    def test_a_test_that_is_forgotten_leaves_no_run(self) -> None:
        self.learn("failed")
        self.history.learn([], ["m.C.test"])
        with closing(sqlite3.connect(self.path)) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM runs").fetchone(), (0,))


FORMAT_1 = """
    CREATE TABLE tests (
        id TEXT PRIMARY KEY, duration REAL NOT NULL, peak_rss INTEGER, outcome TEXT NOT NULL, cause TEXT,
        runs INTEGER NOT NULL, failures INTEGER NOT NULL, last_run REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE recent (id TEXT PRIMARY KEY, runs TEXT NOT NULL, message TEXT) WITHOUT ROWID;
    CREATE TABLE trunks (source TEXT PRIMARY KEY, imports TEXT NOT NULL, last_run REAL NOT NULL) WITHOUT ROWID;
    INSERT INTO tests VALUES ('m.C.test', 0.5, 1000, 'error', 'crash', 3, 1, {now}), ('m.C.odd', 1, NULL, 'passed',
        NULL, 1, 0, {now});
    INSERT INTO recent VALUES
        ('m.C.test', '{now} 0.75 error crash;1700000000.25 0.5 passed;1600000000 1 passed flaky', 'why'),
        ('m.C.odd', 'nonsense;1500000000 2 skipped;' || printf('%.*c', 800, 'x'), NULL);
    INSERT INTO trunks VALUES ('all', '[[["/a"], ["import heavy"]]]', {now});
    PRAGMA user_version = 1;
"""


class FormerFormatTest(ProjectTestCase):
    """A file that an earlier isolatedunit wrote."""

    def setUp(self) -> None:
        super().setUp()
        self.path = os.path.join(self.directory, "history.sqlite3")
        with closing(sqlite3.connect(self.path)) as database:
            database.executescript(FORMAT_1.format(now=time.time()))

    def version(self) -> int:
        with closing(sqlite3.connect(self.path)) as database:
            found: int = database.execute("PRAGMA user_version").fetchone()[0]
            return found

    def check(self, history: History) -> None:
        past = history.read()
        self.assertEqual((past["m.C.test"].duration, past["m.C.test"].peak_rss, past["m.C.test"].runs), (0.5, 1000, 3))
        odd, test = history.read_runs()
        self.assertEqual([run.outcome for run in odd.runs], ["skipped"])
        self.assertEqual(
            [(run.duration, run.outcome, run.cause) for run in test.runs],
            [(1.0, "passed", "flaky"), (0.5, "passed", None), (0.75, "error", "crash")],
        )
        self.assertEqual((test.message, odd.message), ("why", ""))
        self.assertEqual(history.read_shared_imports("all"), ((("/a",), ("import heavy",)),))
        self.assertIsNone(history.problem)

    def test_it_is_read_and_left_as_it_is(self) -> None:
        self.check(History(self.path, only_reads=True))
        self.assertEqual(self.version(), 1)

    def test_the_next_run_goes_on_with_it(self) -> None:
        History(self.path).learn([])
        self.assertEqual(self.version(), FORMAT)
        self.check(History(self.path))
        History(self.path).learn([Row("m.C.test", 0.5, None, "passed", None)])
        (_, test) = History(self.path).read_runs()
        self.assertEqual((len(test.runs), History(self.path).read()["m.C.test"].runs), (4, 4))

    def test_the_first_files_had_one_table(self) -> None:
        with closing(sqlite3.connect(self.path)) as database:
            database.executescript("DROP TABLE recent; DROP TABLE trunks")
        history = History(self.path)
        self.assertEqual((history.read_runs(), history.read_shared_imports("all")), ([], ()))
        history.learn([Row("m.C.test", 0.5, None, "failed", None)])
        self.assertIsNone(history.problem)
        self.assertEqual((len(history.read_runs()[0].runs), history.read()["m.C.test"].runs), (1, 4))

    def test_what_only_looks_like_one_is_left_alone(self) -> None:
        with closing(sqlite3.connect(self.path)) as database:
            database.executescript("DROP TABLE tests; CREATE TABLE tests (color TEXT)")
        history = History(self.path)
        self.assertEqual(history.read(), {})
        history.learn([Row("m.C.test", 0.5, None, "failed", None)])
        self.assertIn("no such column", history.problem or "")
        self.assertEqual(self.version(), 1)
