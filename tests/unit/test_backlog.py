"""Without these, a test that waits for its retry, for a process or for a named group could be forgotten."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.backlog import SPAWN_BACKOFF, Backlog
from isolatedunit.engine.scheduling.units import Unit
from isolatedunit.model.results import PlannedTest


def unit(place: int, group: str = "", options: Options | None = None, **more: Any) -> Unit:
    test = PlannedTest(place, f"m.C.t{place}", "t", None, "m.C", "m")
    return Unit([test], options or Options(), group or str(place), **more)


class BacklogTest(unittest.TestCase):
    def setUp(self) -> None:
        self.backlog = Backlog()

    def begin(self) -> str:
        """Begin the next unit of the group that goes first, as the scheduler does; returns its group."""
        name = self.backlog.pop_ready()[1]
        self.backlog[name].units.popleft()
        self.backlog[name].running = True
        return name

    def test_groups_go_in_the_order_in_which_they_came(self) -> None:
        for number in range(3):
            self.backlog.add(unit(number, "ab"[number % 2]))
        self.assertEqual([self.begin(), self.begin()], ["a", "b"])
        self.assertFalse(self.backlog.has_ready)
        self.backlog.conclude("b", 0.0)
        self.assertFalse(self.backlog, "the other unit of a waits for the first")
        self.backlog.conclude("a", 0.0)
        self.assertEqual(self.begin(), "a")

    def test_a_child_that_could_not_be_made_waits_longer_each_time(self) -> None:
        for tries in (1, 2, 3):
            with self.subTest(tries):
                self.backlog.add(unit(1))
                name = self.begin()
                self.backlog.put_back(unit(1, spawn_tries=tries))
                self.backlog.conclude(name, 10.0)
                due = 10.0 + SPAWN_BACKOFF * 2 ** (tries - 1)
                self.assertEqual(self.backlog.next_time, due)
                self.backlog.wake(due - 0.01)
                self.assertFalse(self.backlog.has_ready)
                self.backlog.wake(due)
                self.begin()
                self.backlog.conclude(name, due)

    def test_a_retry_that_is_put_off_lets_its_group_go_on(self) -> None:
        options = Options(retry_delay=2.0, retry_backoff="exponential")
        self.backlog.add(unit(1, "a"))
        self.backlog.add(unit(2, "a"))
        name = self.begin()
        self.backlog.retry(unit(1, "a", options, number=3), 10.0)
        self.backlog.conclude(name, 10.0)
        self.assertEqual((self.begin(), self.backlog.next_time, self.backlog.has_put_off), ("a", 14.0, True))
        self.backlog.conclude(name, 11.0)
        self.assertTrue(self.backlog)
        self.backlog.wake(14.0)
        self.assertEqual((self.begin(), self.backlog.has_put_off), ("a", False))

    def test_a_parked_group_waits_for_the_named_one(self) -> None:
        self.backlog.add(unit(1))
        self.backlog.park(self.backlog.pop_ready()[1], "database")
        self.backlog.unpark("network")
        self.assertEqual((bool(self.backlog), self.backlog.has_ready), (True, False))
        self.backlog.unpark("database")
        self.assertEqual(self.begin(), "1")

    def test_what_is_removed_does_not_begin_and_what_runs_is_left_alone(self) -> None:
        options = Options(retry_delay=2.0)
        for number in (1, 2, 3):
            self.backlog.add(unit(number))
        self.begin()
        self.backlog.retry(unit(3, options=options, number=2), 0.0)
        for number in (1, 2, 3):
            self.backlog.remove(number)
        self.assertTrue(self.backlog["1"].running)
        self.assertFalse(self.backlog.has_put_off)
        for _ in range(2):
            name = self.backlog.pop_ready()[1]
            self.assertEqual(list(self.backlog[name].units), [])
            self.backlog.remove_if_empty(name)
        self.assertFalse(self.backlog)

    def test_clearing_keeps_the_groups_that_run(self) -> None:
        self.backlog.add(unit(1))
        self.backlog.add(unit(2))
        self.begin()
        self.backlog.clear()
        self.assertFalse(self.backlog)
        self.backlog.make_ready("2")
        self.assertFalse(self.backlog.has_ready, "a group that is gone")
        self.backlog.conclude("1", 0.0)


if __name__ == "__main__":
    unittest.main()
