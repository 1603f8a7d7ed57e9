"""A run's own directory: without these tests, killed runs could fill the disk with theirs."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest

from isolatedunit.system.tempdir import LOCK, remove_left_over
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase

HOLD = """
import sys, time
from isolatedunit.system.tempdir import Scratch
print(Scratch().path, flush=True)
sys.stdin.read()
"""


@unittest.skipUnless(os.name == "posix", "elsewhere there are no such locks, and what is left over stays")
class LeftOverTest(ProjectTestCase):
    def hold(self) -> tuple[subprocess.Popen[str], str]:
        """A process with a directory, and the directory."""
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env=environment(TMPDIR=self.directory),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    def test_of_a_killed_process_and_of_none_else(self) -> None:
        living, lives = self.hold()
        dying, dies = self.hold()
        dying.kill()
        dying.wait()
        self.assertEqual(remove_left_over(self.directory), [dies])
        self.assertFalse(os.path.exists(dies))
        self.assertEqual(os.listdir(lives), [LOCK])
        self.assertEqual(remove_left_over(self.directory), [])
        living.kill()
        living.wait()
        self.assertEqual(remove_left_over(self.directory), [lives])

    def test_a_run_removes_them(self) -> None:
        dying, dies = self.hold()
        dying.kill()
        dying.wait()
        self.write("test_m.py", "import unittest\nclass C(unittest.TestCase):\n    def test(self): pass\n")
        ended = self.run_here("test_m", env=environment(TMPDIR=self.directory))
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertFalse(os.path.exists(dies))

    def test_nowhere_to_make_one(self) -> None:
        self.write("test_m.py", "import unittest\nclass C(unittest.TestCase):\n    def test(self): pass\n")
        self.write(
            "sitecustomize.py",
            """
            import tempfile

            def make_none(*_, **__):
                raise OSError(28, "No space left on device", "/tmp")

            tempfile.mkdtemp = make_none
            """,
        )
        there = os.pathsep.join([self.directory, environment()["PYTHONPATH"]])
        ended = self.run_here("test_m", env=environment(PYTHONPATH=there), report=False)
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertNotIn("Traceback", ended.output)
        self.assertIn("No space left on device", ended.output)
