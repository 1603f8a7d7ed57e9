"""How long leftovers get: without these tests, a leak would depend on what else the machine does, or cost seconds."""

from __future__ import annotations

import os
import unittest

from isolatedunit.system.grace import LEFTOVER_GRACE, WAITS, Grace, leftover_grace, times_waited


class GraceTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 100.0
        self.waited: dict[str, float] | None = {"7": 5.0, "8": 3.0}

    def begin(self, longest: float = 10.0) -> Grace:
        return Grace(0.5, longest, lambda: self.waited, lambda: self.now)

    def ends_after(self, grace: Grace) -> float:
        while not grace.is_over():
            self.now += 0.125
        return self.now - 100.0

    def test_what_sleeps_gets_no_more(self) -> None:
        self.assertEqual(self.ends_after(self.begin()), 0.5)

    def test_what_waited_for_a_processor_gets_that_time_in_addition(self) -> None:
        grace = self.begin()
        self.waited = {"7": 6.0, "8": 3.25, "9": 0.25}
        self.assertEqual(self.ends_after(grace), 1.5)

    def test_what_waits_just_now_gets_more_until_it_has_run(self) -> None:
        self.waited = {"7": WAITS}
        grace = self.begin()
        self.assertEqual(self.ends_after(grace), 10.0)
        self.now = 100.0
        grace = self.begin()
        self.waited = {"7": 0.25}
        self.assertEqual(self.ends_after(grace), 0.75)

    def test_it_is_over_at_last(self) -> None:
        grace = self.begin()
        self.waited = {"7": 100.0}
        self.assertEqual(self.ends_after(grace), 10.0)

    def test_it_takes_longest_where_nobody_knows(self) -> None:
        self.waited = None
        self.assertEqual(self.ends_after(self.begin(2.0)), 2.0)

    def test_nothing_is_left(self) -> None:
        grace = self.begin()
        self.waited = {}
        self.assertEqual(self.ends_after(grace), 0.5)

    def test_there_is_time_left_to_end_what_does_not_end_by_itself(self) -> None:
        self.assertEqual(leftover_grace(0.1), 0.05)
        self.assertGreaterEqual(leftover_grace(None), LEFTOVER_GRACE)

    @unittest.skipUnless(os.path.exists("/proc/self/schedstat"), "the system does not say who waits")
    def test_what_the_system_says(self) -> None:
        waited = times_waited([os.getpid()])
        assert waited is not None
        self.assertIn(str(os.getpid()), waited)
        self.assertGreaterEqual(min(waited.values()), 0.0)


if __name__ == "__main__":
    unittest.main()
