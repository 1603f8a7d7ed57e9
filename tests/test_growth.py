"""Tests whose process grows: a little each time, or too much at once."""

from __future__ import annotations

import unittest

from running import Completed, ProjectTestCase

from isolatedunit.child import leak_hunt

SUITE = """
    import os
    import unittest

    kept = []

    class Growing(unittest.TestCase):
        def test_clean(self):
            [str(number) for number in range(100)]

        def test_keeps_blocks(self):
            kept.append([object() for _ in range(50)])

        def test_keeps_descriptors(self):
            os.open(os.devnull, os.O_RDONLY)

        def test_grows_once(self):
            if not kept:
                kept.append([object() for _ in range(50)])

    class Big(unittest.TestCase):
        def test_big(self):
            kept.append(b"x" * 60_000_000)

        def test_big_for_a_while(self):
            b"x" * 60_000_000
    """


class HuntTest(unittest.TestCase):
    def test_what_grows_every_time_is_told(self) -> None:
        kept: list[object] = []
        (found,) = leak_hunt.hunt(lambda: kept.append([object() for _ in range(50)]), 3)
        self.assertEqual(found["kind"], "growth")
        self.assertRegex(found["identity"], r"^memory blocks grew by \d+, \d+, \d+ in 3 runs$")

    def test_what_does_not_is_not(self) -> None:
        runs = []
        self.assertEqual(leak_hunt.hunt(lambda: runs.append(None) or runs.clear(), 5), [])

    def test_a_little_is_looked_at_again(self) -> None:
        kept: list[object] = []
        self.assertEqual(len(leak_hunt.hunt(lambda: kept.append((object(),)), 3)), 1)

        def grow_for_a_while() -> None:
            # as free lists do: by one block each of the runs that are looked at first
            if len(kept) < leak_hunt.WARM_UPS + 4:
                kept.append(object())

        kept = [None] * 100
        kept.clear()
        self.assertEqual(leak_hunt.hunt(grow_for_a_while, 3), [])

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
        self.assertRegex(found["identity"], r"^memory grew by [\d,]+ bytes and may grow by 10,000,000$")


class CommandTest(ProjectTestCase):
    def run_growing(self, *arguments: str) -> Completed:
        self.write("test_growing.py", SUITE)
        return self.run_here("test_growing", *arguments)

    def test_hunting(self) -> None:
        ended = self.run_growing("-k", "Growing", "--hunt-leaks", "3", "--leaks", "fail:growth")
        outcomes = {name.rpartition(".")[2]: outcome for name, outcome in ended.outcomes().items()}
        self.assertEqual(
            outcomes,
            {
                "test_clean": "passed",
                "test_keeps_blocks": "failed",
                "test_keeps_descriptors": "failed",
                "test_grows_once": "passed",
            },
            ended.output,
        )
        self.assertIn("memory blocks grew by", ended.output)
        self.assertIn("open descriptors grew by 1, 1, 1 in 3 runs", ended.output)
        tests = ended.tests()
        self.assertEqual({test["cause"] for test in tests.values() if test["outcome"] == "failed"}, {"leak"})

    def test_a_limit(self) -> None:
        ended = self.run_growing("-k", "Big", "--memory-growth-limit", "20M", "--leaks", "fail")
        self.assertEqual(ended.outcomes()["test_growing.Big.test_big"], "failed", ended.output)
        self.assertEqual(ended.outcomes()["test_growing.Big.test_big_for_a_while"], "passed", ended.output)
        self.assertRegex(ended.output, r"memory grew by 6\d,\d+,\d+ bytes and may grow by 20,971,520")

    def test_each_run_has_all_its_time(self) -> None:
        self.write(
            "test_slow.py",
            """
            import time, unittest

            class Slow(unittest.TestCase):
                def test_slow(self):
                    time.sleep(0.3)
            """,
        )
        ended = self.run_here("test_slow", "--hunt-leaks", "3", "--process-timeout", "1.5")
        self.assertEqual(ended.exit_code, 0, ended.output)


if __name__ == "__main__":
    unittest.main()
