"""--hunt-leaks: without these tests, a test that grows could be reported as steady, or end its run."""

from __future__ import annotations

from tests.support.command_line import Completed
from tests.support.projects import ProjectTestCase

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
        self.assertRegex(ended.output, r"memory grew by 6\d,\d+,\d+ bytes; the limit is 20,971,520")

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
