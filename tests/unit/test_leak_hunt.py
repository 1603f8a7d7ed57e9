"""The hunt for growth: without these tests, noise could be taken for a leak, or a leak for noise."""

from __future__ import annotations

import unittest

from isolatedunit.child import leak_hunt


class HuntTest(unittest.TestCase):
    def test_what_grows_every_time_is_told(self) -> None:
        kept: list[object] = []
        (found,) = leak_hunt.hunt(lambda: kept.append([object() for _ in range(50)]), 3)
        self.assertEqual(found["kind"], "growth")
        self.assertRegex(found["identity"], r"^memory blocks grew by \d+, \d+, \d+ in 3 runs$")

    def test_what_does_not_is_not(self) -> None:
        runs: list[None] = []
        self.assertEqual(leak_hunt.hunt(lambda: runs.append(None) or runs.clear(), 5), [])

    def test_a_little_is_looked_at_again(self) -> None:
        self.assertEqual(self.found_of_one_block_in_each_of_the_first(10**6), 1)
        # as free lists do
        self.assertEqual(self.found_of_one_block_in_each_of_the_first(leak_hunt.WARM_UPS + 4), 0)

    def found_of_one_block_in_each_of_the_first(self, runs_that_grow: int) -> int:
        runs = blocks = 0

        def run_once() -> None:
            nonlocal runs, blocks
            runs += 1
            blocks += runs <= runs_that_grow

        return len(leak_hunt.hunt(run_once, 3, lambda: {"blocks": blocks}))

    def test_it_warms_up(self) -> None:
        count = 0

        def run_once() -> None:
            nonlocal count
            count += 1

        leak_hunt.hunt(run_once, 4)
        self.assertEqual(count, leak_hunt.WARM_UPS + 4)

    def test_growth_beyond_the_limit(self) -> None:
        before = leak_hunt.resident()
        assert before is not None
        self.assertEqual(leak_hunt.describe_growth(before, None), [])
        self.assertEqual(leak_hunt.describe_growth(before, 500_000_000), [])
        (found,) = leak_hunt.describe_growth(before - 50_000_000, 10_000_000)
        self.assertRegex(found["identity"], r"^memory grew by [\d,]+ bytes; the limit is 10,000,000$")
