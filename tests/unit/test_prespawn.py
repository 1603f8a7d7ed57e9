"""Prespawning's decisions: without these tests, idle interpreters could take time from tests, or never be started."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit.engine.prespawn import Prespawner
from isolatedunit.engine.scheduling.idle_forecast import (
    LONGEST_PAUSE,
    LOOK_INTERVAL,
    IdleForecast,
    Idleness,
)
from isolatedunit.model.moments import NEVER


class IdleForecastTest(unittest.TestCase):
    """Two looks, a moment apart: so much of the time between them was idle, and so much was the run's own."""

    def setUp(self) -> None:
        self.now = 100.0
        self.idle = self.own = 0.0

    def judge(
        self, forecast: IdleForecast, idle: float, own: float = 0.0, missing: int = 10, after: float = 0.0
    ) -> int:
        """What comes of a look at the next time for one, or *after* so many seconds, when so many idled."""
        elapsed = after or LOOK_INTERVAL
        self.now += elapsed
        self.idle, self.own = self.idle + idle * elapsed, self.own + own * elapsed
        return forecast.judge(self.now, Idleness(self.idle, self.own), missing)

    def test_the_first_look_tells_nothing(self) -> None:
        forecast = IdleForecast(2.0)
        self.assertEqual(forecast.next_look, -NEVER)
        self.assertEqual(self.judge(forecast, idle=2.0), 0)
        self.assertAlmostEqual(forecast.next_look, self.now + LOOK_INTERVAL)

    def test_one_for_each_processor_that_idles(self) -> None:
        for idle, count in ((0.0, 0), (0.5, 0), (0.7, 0), (0.8, 1), (1.6, 1), (1.8, 2), (7.9, 8)):
            with self.subTest(idle=idle):
                forecast = IdleForecast(8.0)
                self.judge(forecast, idle)
                self.assertEqual(self.judge(forecast, idle), count)

    def test_no_more_than_are_missing(self) -> None:
        forecast = IdleForecast(8.0)
        self.judge(forecast, 8.0)
        self.assertEqual(self.judge(forecast, 8.0, missing=3), 3)

    def test_the_run_keeps_to_its_share(self) -> None:
        for own, count in ((0.0, 2), (0.9, 1), (1.3, 0), (2.0, 0), (3.0, 0)):
            with self.subTest(own=own):
                forecast = IdleForecast(2.0)
                self.judge(forecast, 8.0 - own, own)
                self.assertEqual(self.judge(forecast, 8.0 - own, own), count)

    def test_looks_that_lead_to_nothing_become_rare(self) -> None:
        forecast = IdleForecast(2.0)
        pauses = []
        for _ in range(8):
            self.judge(forecast, 0.0)
            self.judge(forecast, 0.0)
            pauses.append(round(forecast.next_look - self.now, 6))
            self.now = forecast.next_look
        self.assertEqual(pauses, sorted(pauses))
        self.assertEqual((pauses[0], pauses[1], pauses[-1]), (LOOK_INTERVAL, LOOK_INTERVAL * 2, LONGEST_PAUSE))
        self.judge(forecast, 2.0)
        self.assertEqual(self.judge(forecast, 2.0), 2)
        self.assertEqual(self.judge(forecast, 0.0), 0)
        self.assertAlmostEqual(forecast.next_look - self.now, LOOK_INTERVAL)

    def test_what_was_long_ago_tells_nothing_of_now(self) -> None:
        forecast = IdleForecast(2.0)
        self.judge(forecast, 2.0)
        self.assertEqual(self.judge(forecast, 2.0, after=10.0), 0)
        self.assertEqual(self.judge(forecast, 2.0), 2)
        self.now -= LOOK_INTERVAL  # no time at all
        self.assertEqual(self.judge(forecast, 2.0), 0)


class Waiting:
    """Counts, in place of a backend."""

    def __init__(self, idleness: Idleness | None = None) -> None:
        self.idleness = idleness
        self.count = self.looks = self.ended = 0

    def look(self) -> Idleness | None:
        self.looks += 1
        return self.idleness

    def start(self) -> None:
        self.count += 1

    def end(self) -> None:
        self.ended += self.count
        self.count = 0


def _all_idle(_now: float, _idleness: Idleness, missing: int) -> int:
    """In place of `IdleForecast.judge`: the processors have nothing to do, whatever else this machine does now."""
    return missing


class AheadTest(unittest.TestCase):
    def make(self, waiting: Waiting, judge: Any = None) -> Prespawner:
        forecast = IdleForecast(4.0)
        if judge is not None:
            forecast.judge = judge
        return Prespawner(forecast, waiting.look, waiting.start, lambda: waiting.count, waiting.end)

    def test_as_many_wait_as_can_have_work_next(self) -> None:
        for running, unbegun, count in ((4, 100, 4), (4, 2, 2), (1, 1, 1), (0, 5, 0)):
            with self.subTest(running=running, unbegun=unbegun):
                waiting = Waiting(Idleness(0.0))
                ahead = self.make(waiting, _all_idle)
                ahead.turn(0.0, running, unbegun)
                self.assertEqual(waiting.count, count)
                self.assertEqual(ahead.turn(1.0, running, unbegun), NEVER)
                self.assertEqual(waiting.count, count)

    def test_it_looks_when_the_time_has_come(self) -> None:
        waiting = Waiting(Idleness(0.0))
        ahead = self.make(waiting)
        again = ahead.turn(5.0, 2, 2)
        self.assertAlmostEqual(again, 5.0 + LOOK_INTERVAL)
        self.assertEqual(ahead.turn(5.0 + LOOK_INTERVAL / 2, 2, 2), again)
        self.assertEqual(waiting.looks, 1)
        waiting.idleness = Idleness(4.0 * LOOK_INTERVAL)
        ahead.turn(again, 2, 2)
        self.assertEqual((waiting.looks, waiting.count), (2, 2))

    def test_nobody_waits_when_nothing_is_to_come(self) -> None:
        waiting = Waiting(Idleness(0.0))
        ahead = self.make(waiting, _all_idle)
        ahead.turn(0.0, 3, 3)
        self.assertEqual(ahead.turn(1.0, 3, 0), NEVER)
        self.assertEqual((waiting.count, waiting.ended), (0, 3))

    def test_who_cannot_look_does_not_try_again(self) -> None:
        waiting = Waiting(None)
        ahead = self.make(waiting)
        for _ in range(3):
            self.assertEqual(ahead.turn(0.0, 2, 2), NEVER)
        self.assertEqual((waiting.looks, waiting.count), (1, 0))
