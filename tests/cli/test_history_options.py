"""--history, --shard and merge: without these tests, a test could run in no shard, or a merged report lose one."""

from __future__ import annotations

import json
import os

from isolatedunit.history.store import History
from tests.support.command_line import Completed
from tests.support.projects import ProjectTestCase

SUITE = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): {body}\n"


class CommandTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        for number in range(4):
            self.write(f"test_m{number}.py", SUITE.format(body="self.fail()" if number == 3 else "pass"))

    def shard(self, part: int, of: int) -> str:
        path = os.path.join(self.directory, f"{part}.json")
        ended = self.run_here("--shard", f"{part}/{of}", "--json", path, report=False)
        self.assertIn(ended.exit_code, (0, 1), ended.output)
        return path

    def merge(self, *arguments: str) -> Completed:
        return self.run_here("merge", *arguments, report=False)

    def test_history_is_kept_and_orders_the_next_run(self) -> None:
        self.run_here()
        past = History(os.path.join(self.directory, ".isolatedunit", "history.sqlite3")).read()
        self.assertEqual(len(past), 8)
        self.assertTrue(past["test_m3.T.test_b"].failed)
        lines = self.run_here("--failed-first", "-j", "1", "-v").output.splitlines()
        self.assertIn("test_m3", lines[0])

    def test_no_history_if_not_wanted_or_not_possible(self) -> None:
        self.run_here("--history", "none")
        self.assertFalse(os.path.exists(os.path.join(self.directory, ".isolatedunit")))
        self.write(".isolatedunit", "a file in the folder's place")
        self.assertEqual(self.run_here().last_line, "7 passed, 1 failed, 0 skipped")

    def test_shards_and_their_merger(self) -> None:
        paths = [self.shard(part, 3) for part in (1, 2, 3)]
        history = os.path.join(self.directory, "learnt", "history.sqlite3")
        ended = self.merge(*reversed(paths), "--json", os.path.join(self.directory, "all.json"), "--history", history)
        self.assertEqual((ended.exit_code, ended.last_line), (1, "7 passed, 1 failed, 0 skipped"))
        with open(os.path.join(self.directory, "all.json"), encoding="utf-8") as file:
            merged = json.load(file)
        self.assertEqual(len({test["id"] for test in merged["tests"]}), 8)
        self.assertEqual((merged["counts"]["tests"], merged["run"]["shard"]["of"]), (8, 3))
        self.assertEqual(len(History(history).read()), 8)

    def test_gaps_overlaps_and_strangers_are_refused(self) -> None:
        one, two = self.shard(1, 2), self.shard(2, 2)
        self.run_here("--json", os.path.join(self.directory, "whole.json"), report=False)
        self.write("test_more.py", SUITE.format(body="pass"))
        os.rename(two, os.path.join(self.directory, "kept.json"))
        other = self.shard(2, 2)
        for arguments, words in (
            ((one,), "some of the 2 shards are missing: 2"),
            ((one, one.replace("1.json", "./1.json")), "are both shard 1"),
            ((one, other), "divide the tests differently"),
            (("whole.json",), "is not the report of a shard"),
            (("nowhere.json",), "cannot be read"),
            (("test_more.py",), "cannot be read"),
        ):
            with self.subTest(words):
                ended = self.merge(*arguments)
                self.assertEqual(ended.exit_code, 2, ended.output)
                self.assertIn(words, ended.output)
                self.assertEqual(len(ended.output.splitlines()), 1)

    def test_a_shard_without_tests_is_no_mistake(self) -> None:
        ended = self.run_here("--shard", "5/5")
        self.assertEqual((ended.exit_code, ended.last_line), (0, "0 passed, 0 failed, 0 skipped"))

    def test_shards_that_cannot_be(self) -> None:
        for wrong in ("0/2", "3/2", "1", "a/b", "1/2/3"):
            with self.subTest(wrong):
                ended = self.run_here("--shard", wrong, report=False)
                self.assertEqual(ended.exit_code, 2)
                self.assertIn(f"--shard: invalid value '{wrong}'; expected K/N, such as 1/4", ended.output)
