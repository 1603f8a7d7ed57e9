"""Concurrent runs: without these tests, two runs in one folder could disturb each other, or need to write there."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess

from tests.support.command_line import environment
from tests.support.processes import processes_of_run
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE, wait_until

SUITE = """
import os, time, unittest

class Together(unittest.TestCase):
    def test_meets_the_other_run(self):
        with open(os.environ["MINE"], "w"):
            pass
        while not os.path.exists(os.environ["OTHER"]):
            time.sleep(0.01)

    def test_writes(self):
        print(os.environ["MINE"])
        self.fail()
"""


class SideBySideTest(ProjectTestCase):
    def begin(self, mine: str, other: str) -> subprocess.Popen[bytes]:
        return self.start_here(
            "--json", f"{mine}.json", env=environment(MINE=mine, OTHER=other), stdout=subprocess.DEVNULL
        )

    def test_two_runs_in_one_folder_do_not_harm_each_other(self) -> None:
        self.write("test_together.py", SUITE)
        runners = [self.begin("a", "b"), self.begin("b", "a")]
        for mine, runner in zip("ab", runners, strict=True):
            self.assertEqual(runner.wait(PATIENCE), 1)
            with open(os.path.join(self.directory, f"{mine}.json"), encoding="utf-8") as file:
                report = json.load(file)
            outcomes = {test["id"].rpartition(".")[2]: test["outcome"] for test in report["tests"]}
            self.assertEqual(outcomes, {"test_meets_the_other_run": "passed", "test_writes": "failed"})
            (written,) = [test["stdout"] for test in report["tests"] if test["outcome"] == "failed"]
            self.assertEqual(written, f"{mine}\n")
            self.assertEqual(processes_of_run(report["run"]["id"]), [])
        database = sqlite3.connect(os.path.join(self.directory, ".isolatedunit", "history.sqlite3"))
        self.addCleanup(database.close)
        self.assertEqual([row[0] for row in database.execute("SELECT runs FROM tests")], [2, 2])

    def test_a_history_that_another_holds_costs_only_itself(self) -> None:
        self.write("test_it.py", "import unittest\nclass It(unittest.TestCase):\n    def test(self): pass\n")
        self.assertEqual(self.run_here().exit_code, 0)
        path = os.path.join(self.directory, ".isolatedunit", "history.sqlite3")
        os.unlink(path)
        os.mkdir(path)  # as good as unwritable, also for root
        ended = self.run_here()
        self.assertEqual((ended.exit_code, ended.last_line), (0, "1 passed, 0 failed, 0 skipped"))
        self.assertRegex(
            ended.output,
            r"isolatedunit: the history was not updated \(--history none turns it off\): .*history.sqlite3: ",
        )
        self.assertNotIn("Traceback", ended.output)

    def test_a_temporary_folder_that_is_not_there(self) -> None:
        self.write("test_it.py", "import unittest\nclass It(unittest.TestCase):\n    def test(self): pass\n")
        ended = self.run_here(env=environment(TMPDIR=os.path.join(self.directory, "missing")))
        # Python looks for another one then, and so it is with the run
        self.assertEqual((ended.exit_code, ended.last_line), (0, "1 passed, 0 failed, 0 skipped"))

    def test_nothing_of_a_run_is_left_where_temporary_files_are(self) -> None:
        self.write("test_it.py", "import unittest\nclass It(unittest.TestCase):\n    def test(self): pass\n")
        os.mkdir(os.path.join(self.directory, "tmp"))
        self.run_here(env=environment(TMPDIR=os.path.join(self.directory, "tmp")))
        wait_until(lambda: not os.listdir(os.path.join(self.directory, "tmp")), "the files to be removed")
