"""The directory of a run's own files: private, and removed by the next run where the runner was killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import unittest

from running import ProjectTestCase, environment

from isolatedunit.system.tempdir import LOCK, PREFIX, Scratch, remove_left_over

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

    def test_of_this_process(self) -> None:
        scratch = Scratch()
        parent = os.path.dirname(scratch.path)
        try:
            self.assertNotIn(scratch.path, remove_left_over(parent))
            self.assertEqual(stat.S_IMODE(os.stat(scratch.path).st_mode), 0o700)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(scratch.path, LOCK)).st_mode), 0o600)
        finally:
            scratch.remove()
        self.assertFalse(os.path.exists(scratch.path))
        scratch.remove()

    def test_what_only_looks_like_one_stays(self) -> None:
        without_lock = os.path.join(self.directory, f"{PREFIX}a")
        os.mkdir(without_lock, 0o700)
        open_to_all = os.path.join(self.directory, f"{PREFIX}b")
        os.mkdir(open_to_all, 0o755)
        self.touch(os.path.join(open_to_all, LOCK))
        elsewhere = os.path.join(self.directory, "of-somebody")
        os.mkdir(elsewhere, 0o700)
        self.touch(os.path.join(elsewhere, LOCK))
        os.symlink(elsewhere, os.path.join(self.directory, f"{PREFIX}c"))
        linked = os.path.join(self.directory, f"{PREFIX}d")
        os.mkdir(linked, 0o700)
        os.symlink(os.path.join(elsewhere, LOCK), os.path.join(linked, LOCK))
        self.touch(os.path.join(self.directory, f"{PREFIX}e"))
        before = sorted(os.listdir(self.directory))
        self.assertEqual(remove_left_over(self.directory), [])
        self.assertEqual(sorted(os.listdir(self.directory)), before)
        self.assertEqual(os.listdir(elsewhere), [LOCK])

    def touch(self, path: str) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))

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


if __name__ == "__main__":
    unittest.main()
