"""Dry runs: without these tests, one could show another order than a run would have."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.forecast import foresee
from isolatedunit.engine.scheduling.ordering import Expectations
from tests.support.scheduling import plan

NAMES = ("a.A.one", "a.A.two", "b.B.one", "c.C.one")
SECONDS = {"a.A.one": 1.0, "a.A.two": 3.0, "b.B.one": 6.0}


class ForecastTest(unittest.TestCase):
    def foresee(self, slots: int, seconds: dict[str, float], **options: Any) -> list[tuple[str, int, float, int]]:
        begins = foresee(plan(*NAMES), Options(**options), Expectations(seconds, peaks={"b.B.one": 2**60}), slots)
        return [(begin.test.id, begin.slot, begin.at, begin.process) for begin in begins]

    def test_slots_and_times(self) -> None:
        # what nobody knows goes first, and takes what the others take on average: (1 + 3 + 6) / 3
        average = 10 / 3
        self.assertEqual(
            self.foresee(2, SECONDS),
            [
                *(("c.C.one", 1, 0.0, 1), ("b.B.one", 2, 0.0, 2)),
                *(("a.A.one", 1, average, 3), ("a.A.two", 1, average + 1, 4)),
            ],
        )

    def test_tests_of_one_process_follow_each_other(self) -> None:
        self.assertEqual(
            self.foresee(3, SECONDS, isolation="class"),
            [("c.C.one", 1, 0.0, 1), ("b.B.one", 2, 0.0, 2), ("a.A.one", 3, 0.0, 3), ("a.A.two", 3, 1.0, 3)],
        )

    def test_fixtures_that_run_once_end_it_as_well(self) -> None:
        found = self.foresee(1, {}, fork_after="fixtures", start_method="forkserver")
        self.assertEqual([name for name, *_ in found], list(NAMES))

    def test_what_may_not_run_together_waits(self) -> None:
        found = self.foresee(4, SECONDS, overrides=(("*", {"exclusive": True}),))
        self.assertEqual([at for _, _, at, _ in found], [0.0, 10 / 3, 10 / 3 + 6, 10 / 3 + 7])


if __name__ == "__main__":
    unittest.main()
