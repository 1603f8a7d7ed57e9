"""Partial reports: without these tests, the results of a run that is killed would be lost."""

from __future__ import annotations

import os
import signal
import subprocess
import unittest

from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

SUITE = """
import os, time, unittest

class Suite(unittest.TestCase):
    def test_a_passes(self):
        pass

    def test_b_fails(self):
        self.fail("for a reason")

    def test_c_waits(self):
        with open("waits", "w"):
            pass
        while True:
            time.sleep(0.01)
"""


class PartialTest(ProjectTestCase):
    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def read(self, name: str) -> str:
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    @unittest.skipUnless(hasattr(signal, "SIGKILL"), "POSIX")
    def test_a_killed_run_leaves_what_had_finished(self) -> None:
        self.write("test_suite.py", SUITE)
        runner = self.start_here("-j", "1", "--json", "report.json", stdout=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.path("waits")), "the last test to begin")
        # which may begin before the runner has written what came of the one before
        wait_until(lambda: "for a reason" in self.read("report.json.partial"), "what came of the others to be written")
        runner.kill()
        runner.wait()
        self.assertFalse(os.path.exists(self.path("report.json")))
        self.assertEqual(os.stat(self.path("report.json.partial")).st_mode & 0o777, 0o600)
        ended = self.run_here("replay", "report.json.partial")
        self.assertEqual(ended.exit_code, 1)
        self.assertEqual(
            ended.outcomes(), {"test_suite.Suite.test_a_passes": "passed", "test_suite.Suite.test_b_fails": "failed"}
        )
        self.assertIn("is incomplete", ended.output)
        self.assertIn("for a reason", ended.tests()["test_suite.Suite.test_b_fails"]["message"])

    def test_a_run_that_ends_leaves_its_report_only(self) -> None:
        self.write("test_suite.py", SUITE.replace("while True", "while False"))
        ended = self.run_here("--json", "report.json", report=False)
        self.assertEqual(ended.exit_code, 1)
        self.assertTrue(os.path.exists(self.path("report.json")))
        self.assertFalse(os.path.exists(self.path("report.json.partial")))
