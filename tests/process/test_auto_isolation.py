"""``--isolation auto``: without these tests, some that share a process could have other verdicts than alone."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import unittest
from contextlib import closing
from typing import Any

from tests.support import audited_suite
from tests.support.command_line import Completed
from tests.support.projects import ProjectTestCase

SUITE = """
    import os
    import threading
    import unittest

    import goods

    def armed(what):
        return os.path.exists(what)

    class Shop(unittest.TestCase):
        limit = 3

        def test_1(self):
            if armed("environment"):
                os.environ["SHOP"] = "closed"
            if armed("directory"):
                os.chdir("/")
            if armed("class attribute"):
                type(self).limit = 4
            if armed("module attribute"):
                goods.currency = "USD"
            if armed("contents"):
                goods.prices["pear"] = 9
            if armed("instance"):
                goods.stock.count = 0
            if armed("standard library"):
                os.getpid = lambda: 0
            if armed("thread"):
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            if armed("descriptor"):
                type(self).kept = os.open("goods.py", os.O_RDONLY)
            if armed("child"):
                os.fork() or os._exit(0)
            if armed("import"):
                import late
            if armed("out of sight"):
                goods.deep["a"][0].append(1)

        def test_2(self):
            self.assertNotIn("SHOP", os.environ)
            self.assertTrue(os.path.exists("goods.py"))
            self.assertEqual((self.limit, goods.currency, goods.stock.count), (3, "EUR", 1))
            self.assertEqual((goods.prices, goods.deep), ({"pear": 1}, {"a": [[]]}))
            self.assertNotEqual(os.getpid(), 0)
            self.assertEqual(threading.active_count(), 1)

        def test_3(self):
            if armed("crash"):
                os._exit(3)
            if armed("skip"):
                self.skipTest("closed")

    class Small(unittest.TestCase):
        def test_1(self):
            pass

        def test_2(self):
            pass
    """

GOODS = """
    currency = "EUR"
    prices = {"pear": 1}
    deep = {"a": [[]]}

    class Stock:
        count = 1

    stock = Stock()
    """

SEEN = (
    *("environment", "directory", "class attribute", "module attribute", "contents", "instance", "standard library"),
    *("thread", "descriptor", "child"),
)
"""What the look after each test finds."""


class AutoTestCase(ProjectTestCase):
    def auto(self, *arguments: str) -> Completed:
        return self.run_here("--isolation", "auto", "-j", "2", *arguments)

    def classes(self) -> dict[str, dict[str, Any]]:
        """What ``isolatedunit history`` has of each class."""
        self.run_here("history", "--json", "history.json", report=False)
        with open(os.path.join(self.directory, "history.json"), encoding="utf-8") as file:
            return {one["id"]: one for one in json.load(file)["classes"]}

    def isolation(self, ended: Completed) -> dict[str, str]:
        return {test_id: test["isolation"] for test_id, test in ended.tests().items()}

    def change_history(self, statement: str, *values: Any) -> None:
        path = os.path.join(self.directory, ".isolatedunit", "history.sqlite3")
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement, values)

    def grant_standing(self, verdicts: dict[str, str]) -> None:
        """Say in the history that all classes have been shown to be harmless, which is not true."""
        self.change_history("UPDATE classes SET runs = 3, refused = 0, verdicts = ?", json.dumps(verdicts))


class ShopTest(AutoTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("goods.py", GOODS)
        self.write("late.py", "")
        self.write("test_shop.py", SUITE)

    def gain_standing(self) -> None:
        ended = self.auto()
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertEqual({*self.isolation(ended).values()}, {"test"})
        # one class in twenty runs alone all the same, whatever the seed: that of this test chooses neither
        self.change_history("UPDATE classes SET shared = 1")

    def with_standing(self) -> Completed:
        return self.auto("--hash-seed", "5")

    def test_a_class_that_was_shown_to_be_harmless_shares_a_process(self) -> None:
        self.gain_standing()
        ended = self.with_standing()
        self.assertEqual({*self.isolation(ended).values()}, {"class"})
        processes = {test["attempts"][0]["process_id"] for test in ended.tests().values()}
        self.assertEqual(len(processes), 2)
        shown = self.run_here("history", report=False).output
        self.assertIn("Classes of --isolation auto: 2 of 2 share a process", shown)

    def test_a_polluter_is_caught_in_the_run_in_which_it_begins(self) -> None:
        self.gain_standing()
        for what in SEEN:
            with self.subTest(what):
                self.write(what, "")
                ended = self.with_standing()
                os.unlink(os.path.join(self.directory, what))
                self.assertEqual({*ended.outcomes().values()}, {"passed"}, ended.output)
                found = self.isolation(ended)
                self.assertEqual([found[f"test_shop.Shop.test_{n}"] for n in (1, 2, 3)], ["class", "test", "test"])
                self.assertIn("the tests of test_shop.Shop share no process any more", ended.output)
                self.assertIn("test_shop.Shop.test_1 left", self.classes()["test_shop.Shop"]["reason"])
                self.change_history("DELETE FROM classes")
                self.gain_standing()

    def test_a_module_that_was_not_loaded_before_ends_the_evidence(self) -> None:
        self.gain_standing()
        self.write("import", "")
        ended = self.with_standing()
        self.assertEqual([self.isolation(ended)[f"test_shop.Shop.test_{n}"] for n in (1, 2, 3)], ["test"] * 3)
        self.assertRegex(self.classes()["test_shop.Shop"]["reason"], r"late\.py is loaded now, and was not before")

    def test_a_victim_of_what_nobody_saw_runs_again_alone(self) -> None:
        self.gain_standing()
        self.write("out of sight", "")
        ended = self.with_standing()
        self.assertEqual({*ended.outcomes().values()}, {"passed"}, ended.output)
        victim = ended.tests()["test_shop.Shop.test_2"]
        self.assertEqual(
            [(one["isolation"], one["outcome"]) for one in victim["attempts"]],
            [("class", "failed"), ("test", "passed")],
        )
        self.assertFalse(victim["flaky"])
        self.assertIn("test_2: failed together with others, passed alone", self.classes()["test_shop.Shop"]["reason"])
        self.assertEqual(self.isolation(self.with_standing())["test_shop.Shop.test_1"], "test")

    def test_what_a_test_comes_to_alone_as_well_costs_nothing(self) -> None:
        self.gain_standing()
        for what, outcome in (("crash", "error"), ("skip", "skipped")):
            self.write(what, "")
            test = self.with_standing().tests()["test_shop.Shop.test_3"]
            os.unlink(os.path.join(self.directory, what))
            self.assertEqual((test["outcome"], test["isolation"]), (outcome, "test"))
            self.assertTrue(self.classes()["test_shop.Shop"]["standing"])
        self.assertEqual({*self.with_standing().outcomes().values()}, {"passed"})

    def test_a_polluter_that_is_written_into_the_source_is_caught_as_well(self) -> None:
        self.gain_standing()
        self.write("goods.py", GOODS.replace('currency = "EUR"', 'currency = "EUR"  # or not'))
        self.assertIn("its sources", self.classes()["test_shop.Shop"]["reason"])
        self.write("test_shop.py", SUITE.replace('armed("module attribute")', "True"))
        ended = self.with_standing()
        self.assertEqual({*ended.outcomes().values()}, {"passed"}, ended.output)
        self.assertEqual({*self.isolation(ended).values()}, {"test"})
        self.assertIn("goods.currency changed", self.classes()["test_shop.Shop"]["reason"])

    def test_a_file_that_changes_during_the_run_is_no_evidence(self) -> None:
        self.write("test_touch.py", "import os\nos.utime('goods.py')\n")
        self.auto()
        self.assertNotIn("test_shop.Shop", self.classes())

    @unittest.skipUnless(sys.platform == "linux", "an audit needs Linux")
    def test_an_audit_counts_as_the_trials(self) -> None:
        ended = self.run_here("audit", "--orders", "1", report=False)
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.change_history("UPDATE classes SET shared = 1")
        self.assertEqual({*self.isolation(self.with_standing()).values()}, {"class"})

    def test_without_a_history_each_runs_alone(self) -> None:
        ended = self.auto("--history", "none")
        self.assertIn("without a history", ended.output)
        self.assertEqual({*self.isolation(ended).values()}, {"test"})


class FalseEvidenceTest(AutoTestCase):
    """The history says that all classes are harmless, and none is: no verdict is another one than alone."""

    def test_the_suite_of_audits(self) -> None:
        dependent = audited_suite.write(self.directory)
        # what depends on a file does so in whatever process it runs
        outside = [test_id for test_id, (kind, _) in dependent.items() if kind == "external"]
        exclude = [argument for test_id in outside for argument in ("--exclude", test_id)]
        expected = self.auto(*exclude).outcomes()
        self.assertEqual(sum(outcome != "passed" for outcome in expected.values()), 1)  # one needs another
        for _ in range(2):
            self.grant_standing(dict.fromkeys(expected, "passed"))
            ended = self.auto(*exclude)
            self.assertEqual(ended.outcomes(), expected)
            self.assertGreater(len([one for one in self.isolation(ended).values() if one == "class"]), 5)
