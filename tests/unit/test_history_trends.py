"""Trends: without these tests, slow, flaky and failing tests could be confused, or the history grow without end."""

from __future__ import annotations

import os
import sqlite3
import unittest

from isolatedunit.history.store import RECENT_SIZE, History, Once, Recent, Row
from isolatedunit.history.trends import recollect, trend_of
from tests.support.projects import ProjectTestCase


def runs(*outcomes: str, duration: float = 1.0) -> tuple[Once, ...]:
    return tuple(Once(1000.0 + number, duration, outcome, None) for number, outcome in enumerate(outcomes))


class RecollectTest(unittest.TestCase):
    def test_slow_ones_and_their_trend(self) -> None:
        durations = (1.0, 1.0, 2.0, 4.0)
        slow = Recent("slow", tuple(Once(float(at), one, "passed", None) for at, one in enumerate(durations)), "")
        found = recollect([Recent("quick", runs("passed", duration=0.5), ""), slow], 10)
        self.assertEqual(
            [(one.id, one.seconds, one.change) for one in found.slow], [("slow", 4.0, 2.0), ("quick", 0.5, None)]
        )
        self.assertEqual([one.id for one in recollect([slow, slow, slow], 2).slow], ["slow", "slow"])

    def test_trends_are_drawn(self) -> None:
        self.assertEqual(trend_of((1.0, 2.0, 4.0)), "▃▅█")
        self.assertEqual(trend_of((1.0, 2.0, 4.0), only_ascii=True), "-+#")
        self.assertEqual(trend_of((0.0,)), "▁")
        self.assertEqual(len(trend_of([1.0] * 50)), 12)

    def test_flaky_ones(self) -> None:
        tests = [
            Recent("mostly good", runs("passed", "failed", "passed", "passed"), ""),
            Recent("good", runs("passed", "skipped"), ""),
            Recent("bad", runs("failed", "error"), ""),
            Recent("half", runs("passed", "error"), ""),
            Recent("tried again", (Once(0.0, 1.0, "passed", None), Once(1.0, 1.0, "passed", "flaky")), ""),
        ]
        found = recollect(tests, 10).flaky
        self.assertEqual(
            [(one.id, one.good, one.runs, one.letters) for one in found],
            [("half", 1, 2, ".E"), ("tried again", 1, 2, ".~"), ("mostly good", 3, 4, ".F..")],
        )

    def test_failing_ones_and_since_when(self) -> None:
        tests = [
            Recent("new", runs("passed", "passed", "failed"), "why"),
            Recent("old", runs("passed", "failed", "error"), ""),
            Recent("mended", runs("failed", "passed"), "why"),
        ]
        found = recollect(tests, 10).failing
        self.assertEqual(
            [(one.id, one.times, one.since, one.message) for one in found],
            [("new", 1, 1002.0, "why"), ("old", 2, 1001.0, "")],
        )


class KeptTest(ProjectTestCase):
    """What the file keeps."""

    def setUp(self) -> None:
        super().setUp()
        self.history = History(os.path.join(self.directory, "history.sqlite3"))

    def learn(self, outcome: str, duration: float = 0.5, message: str = "") -> None:
        self.history.learn([Row("m.C.test", duration, None, outcome, None, message)])
        self.assertIsNone(self.history.problem)

    def test_runs_in_their_order_and_the_last_failure(self) -> None:
        for number, outcome in enumerate(("failed", "passed", "error", "passed")):
            self.learn(outcome, float(number), f"message {number}")
        (recent,) = self.history.read_recent()
        self.assertEqual(
            [(one.outcome, one.duration) for one in recent.runs],
            [("failed", 0.0), ("passed", 1.0), ("error", 2.0), ("passed", 3.0)],
        )
        self.assertEqual(recent.message, "message 2")

    def test_it_does_not_grow_without_end(self) -> None:
        for number in range(200):
            self.learn("unexpectedSuccess", float(number))
        (recent,) = self.history.read_recent()
        self.assertEqual(
            [one.duration for one in recent.runs], [float(one) for one in range(200 - len(recent.runs), 200)]
        )
        self.assertGreaterEqual(len(recent.runs), 15)
        with sqlite3.connect(os.path.join(self.directory, "history.sqlite3")) as database:
            self.assertLessEqual(database.execute("SELECT max(length(runs)) FROM recent").fetchone()[0], RECENT_SIZE)
        database.close()

    def test_a_file_of_before_is_read_and_goes_on(self) -> None:
        self.learn("passed")
        path = os.path.join(self.directory, "history.sqlite3")
        with sqlite3.connect(path) as database:
            database.execute("DROP TABLE recent")
        database.close()
        self.assertEqual(self.history.read_recent(), [])
        self.learn("failed")
        self.assertEqual(len(self.history.read_recent()[0].runs), 1)
        self.assertEqual(self.history.read()["m.C.test"].runs, 2)
