"""The leaks command: without these tests, a leak that was accepted could fail a run, or a new one pass unseen."""

from __future__ import annotations

import os

from tests.support.projects import ProjectTestCase

SUITE = """
    import subprocess
    import unittest

    class Old(unittest.TestCase):
        def test_process(self):
            subprocess.Popen(["sleep", "1000"])

        def test_file(self):
            {file}

        def test_clean(self):
            pass
    """


LEAKING = "type(self).file = open(__file__)"


class AcceptingTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_old.py", SUITE.format(file=LEAKING))
        self.report = os.path.join(self.directory, "report.json")
        self.baseline = os.path.join(self.directory, "isolatedunit-leaks.txt")

    def run_strictly(self) -> str:
        return self.run_here("--leaks", "fail", "--json", self.report, report=False).last_line

    def test_only_new_leaks_fail(self) -> None:
        self.write("test_old.py", SUITE.format(file="pass"))
        self.assertEqual(self.run_strictly(), "2 passed, 1 failed, 0 skipped")
        accepted = self.run_here("leaks", "report.json", "--accept", report=False)
        self.assertEqual(accepted.exit_code, 0, accepted.output)
        self.assertEqual(self.run_strictly(), "3 passed, 0 failed, 0 skipped")
        self.write("test_old.py", SUITE.format(file=LEAKING))
        self.assertEqual(self.run_strictly(), "2 passed, 1 failed, 0 skipped")
        # what was accepted before stays accepted
        self.run_here("leaks", "report.json", "--accept", report=False)
        with open(self.baseline, encoding="utf-8") as file:
            lines = [line.strip() for line in file if not line.startswith("#")]
        self.assertEqual(lines, ["test_old.Old.test_file file", "test_old.Old.test_process process"])
        self.assertEqual(self.run_strictly(), "3 passed, 0 failed, 0 skipped")
        self.assertEqual(
            self.run_here("--leaks", "fail", "--leaks-baseline", "none", report=False).last_line,
            "1 passed, 2 failed, 0 skipped",
        )

    def test_they_are_listed(self) -> None:
        self.run_strictly()
        ended = self.run_here("leaks", "report.json", report=False)
        self.assertEqual(ended.exit_code, 1)
        self.assertRegex(ended.output, r"(?m)^test_old.Old.test_file: a file, .*test_old.py, from .*:9 in test_file$")
        self.assertRegex(ended.output, r"(?m)^test_old.Old.test_process: a process, sleep 1000")
        self.assertFalse(os.path.exists(self.baseline))

    def test_what_is_no_report(self) -> None:
        for name in ("nowhere.json", "test_old.py"):
            ended = self.run_here("leaks", name, report=False)
            self.assertEqual(ended.exit_code, 2)
            self.assertIn(f"leaks: '{name}' cannot be read", ended.output)
