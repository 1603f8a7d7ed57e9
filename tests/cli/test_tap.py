"""--tap: without these tests, the stream of a real run could not be read by prove and its kind."""

from __future__ import annotations

import os
import shutil
import subprocess
import unittest

from tests.support.projects import ProjectTestCase
from tests.support.tap import TapTestCase, parse_strictly


class ReadersTest(TapTestCase):
    @unittest.skipIf(shutil.which("prove") is None, "Perl's prove is not installed")
    def test_prove_reads_it(self) -> None:
        self.tell_everything()
        ended = subprocess.run(
            ["prove", "--failures", "--exec", "cat", self.path], capture_output=True, text=True, check=False
        )
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("Failed tests:  2-4, 7-9, 11-12", ended.stdout)
        self.assertNotIn("Parse errors", ended.stdout)


class FileTest(ProjectTestCase):
    """A run as its user has it."""

    def test_a_run_and_its_replay(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                def test_crash(self):
                    os._exit(0)

                def test_passes(self):
                    pass
            """,
        )
        ended = self.run_here("--tap", "it.tap", "--events", "it.jsonl")
        self.assertEqual(ended.exit_code, 1, ended.output)
        with open(os.path.join(self.directory, "it.tap"), encoding="utf-8") as file:
            text = file.read()
        parsed = parse_strictly(text)
        self.assertEqual(
            {one.name: one.ok for one in parsed.results},
            {"test_it.It.test_crash": False, "test_it.It.test_passes": True},
        )
        self.assertEqual(parsed.count, 2)
        self.run_here("replay", "it.jsonl", "--tap", "again.tap")
        with open(os.path.join(self.directory, "again.tap"), encoding="utf-8") as file:
            self.assertEqual(file.read(), text)

    def test_wrong_usage(self) -> None:
        ended = self.run_here("--tap", "no/such/x.tap", report=False)
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertIn("--tap: 'no/such/x.tap' is in a directory that does not exist", ended.output)
