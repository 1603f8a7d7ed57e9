"""Without these, a run ends, or waits, for a history that is damaged or held by another process."""

from __future__ import annotations

import os
import sqlite3

from tests.support.projects import ProjectTestCase


class HistoryOfRunTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_it.py", "import unittest\nclass It(unittest.TestCase):\n    def test(self): pass\n")
        self.run_here("--history", "h.sqlite3")
        self.holder = sqlite3.connect(os.path.join(self.directory, "h.sqlite3"), isolation_level=None)
        self.addCleanup(self.holder.close)

    def check_run(self, why: str) -> None:
        ended = self.run_here("--history", "h.sqlite3")
        self.assertEqual((ended.exit_code, ended.last_line), (0, "1 passed, 0 failed, 0 skipped"))
        self.assertRegex(ended.output, f"isolatedunit: the history was not updated .*{why}")

    def test_another_process_holds_it(self) -> None:
        self.holder.execute("BEGIN EXCLUSIVE")
        self.check_run("database is locked")

    def test_its_values_have_wrong_types(self) -> None:
        self.holder.execute("UPDATE tests SET peak_rss = 'x'")
        self.check_run("malformed: 'x' makes no sense")
