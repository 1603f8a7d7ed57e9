"""Audits measured by what was promised: without these tests, an audit could become blind, wasteful, or a litterer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from typing import Any

import psutil

from tests.support import audited_kinds, audited_suite
from tests.support.beyond import needs
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase

MIB = 2**20


@needs()
class AuditTest(ProjectTestCase):
    def audit(self, *arguments: str) -> dict[str, Any]:
        path = os.path.join(self.directory, "audit.json")
        with tempfile.TemporaryDirectory() as directory:
            more = ("--budget", "3600", "--orders", "0", *arguments, "--json", path)
            ended = self.run_here("audit", *more, env=environment(TMPDIR=directory), report=False)
        self.assertIn(ended.exit_code, (0, 1), ended.output)
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        os.unlink(path)
        return found

    def run_plainly(self) -> str:
        """The output of plain unittest, without temporary files of earlier runs."""
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, "-m", "unittest", "discover"]
            env = environment(TMPDIR=directory)
            ended = subprocess.run(command, cwd=self.directory, env=env, capture_output=True, text=True, check=False)
        return ended.stderr

    def test_offered_lines_make_the_plain_run_agree_and_checkpoints_stay_small(self) -> None:
        audited_suite.write(self.directory)
        self.assertIn("FAILED (failures=10, errors=1)", self.run_plainly())
        patch = os.path.join(self.directory, "..", f"{os.path.basename(self.directory)}.patch")
        self.addCleanup(os.unlink, patch)
        report = self.audit("--fix", patch)
        self.assertLessEqual(report["run"]["checkpoint_memory"], 130 * MIB)
        subprocess.run(["patch", "-p1", "-s", "-i", patch], cwd=self.directory, check=True)
        output = self.run_plainly()
        self.assertIn("FAILED (failures=1)", output)
        self.assertIn("FAIL: test_needs_file ", output)  # there is no line that removes a file

    def test_the_one_test_that_repairs_what_a_polluter_did(self) -> None:
        audited_suite.write(self.directory)
        with open(os.path.join(self.directory, "test_8.py"), "a", encoding="utf-8") as file:
            file.write('    def test_zz_cleans(self):\n        price.currency = "EUR"\n')
        victim = "test_8.SuiteTest.test_needs_module"
        (test,) = self.audit("--victim", victim, "--cleaners", "--no-names")["tests"]
        self.assertEqual(test["all_cleaners"], ["test_8.SuiteTest.test_zz_cleans"])

    def test_kinds_of_state(self) -> None:
        audited_kinds.write(self.directory)
        tests = {test["id"]: test for test in self.audit()["tests"]}
        found = {kind.name: tests.get(f"test_needs.TestNeeds.test_{kind.name}") for kind in audited_kinds.KINDS}
        sets = {name: [step["id"] for step in test["set"]] for name, test in found.items() if test is not None}
        self.assertEqual(sets, {name: [f"test_does.TestDoes.test_{name}"] for name in found})
        named = {
            kind.name
            for kind in audited_kinds.KINDS
            if any(kind.where in state["where"] for state in (found[kind.name] or {})["states"])
        }
        self.assertGreaterEqual(len(named), len(found) - 2, found.keys() - named)

    def test_chance_is_never_taken_for_a_dependence(self) -> None:
        self.write(
            "test_chance.py",
            """
            import os
            import unittest

            class T(unittest.TestCase):
                def test_1(self):
                    pass

                def test_2(self):
                    self.assertLess(os.urandom(1)[0], 128)
            """,
        )
        for _ in range(20):
            found = [(test["class"], test["set"]) for test in self.audit("--confirm", "3")["tests"]]
            self.assertIn(found, ([], [("flaky", [])]))

    def test_nothing_is_left_running(self) -> None:
        self.write(
            "test_fine.py",
            """
            import subprocess
            import unittest

            class T(unittest.TestCase):
                def test_it(self):
                    subprocess.Popen(["sleep", "1997"], start_new_session=True)
            """,
        )
        for _ in range(50):
            self.audit()
        left = [process for process in psutil.process_iter() if self.is_of_this_test(process)]
        self.assertEqual(left, [])

    def is_of_this_test(self, process: psutil.Process) -> bool:
        try:
            return process.cwd() == os.path.realpath(self.directory) and process.pid != os.getpid()
        except psutil.Error:
            return False


if __name__ == "__main__":
    unittest.main()
