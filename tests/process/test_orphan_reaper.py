"""The orphan reaper: without these tests, what a killed runner started could live on, or what is another's be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from typing import Any

from isolatedunit.child import orphan_reaper
from isolatedunit.system.processes import RUN_VARIABLE, add_mark
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE

SLEEP = ("sleep", "1000")


@unittest.skipUnless(sys.platform == "linux", "elsewhere the environment of others' processes is not to be read")
class OrphanReaperTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.scratch = tempfile.mkdtemp(dir=self.directory)
        self.run_id = os.urandom(8).hex()
        self.others_run = self.start(*SLEEP, run=f"{os.urandom(8).hex()}/3#1")
        self.nobodys = self.start(*SLEEP)

    def start(self, *arguments: str, run: str = "", **more: Any) -> subprocess.Popen[bytes]:
        """Start a process, in a session of its own, that carries the mark of *run*."""
        marked = environment(**({RUN_VARIABLE: add_mark(run)} if run else {}))
        process = subprocess.Popen(arguments, env=marked, start_new_session=True, **more)

        def end() -> None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=PATIENCE)

        self.addCleanup(end)
        return process

    def start_reaper(self, shell_command: str) -> subprocess.Popen[bytes]:
        """Start a shell that starts the reaper as ``"$@"``, which lacks its last argument; both print to a pipe."""
        return self.start(
            *("sh", "-c", shell_command, "sh", sys.executable, str(orphan_reaper.__file__), self.run_id, self.scratch),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )

    def tell(self, reaper: subprocess.Popen[bytes], *words: str) -> None:
        assert reaper.stdin is not None
        reaper.stdin.write("".join(f"{word}\n" for word in words).encode())

    def check_ends_in_peace(self, reaper: subprocess.Popen[bytes], watched: subprocess.Popen[bytes]) -> None:
        """Wait for the reaper, whose input ends now, and see that it has ended nothing."""
        self.assertEqual(reaper.communicate(timeout=PATIENCE), (b"", None))
        self.assertEqual(reaper.returncode, 0)
        self.assertTrue(os.path.exists(self.scratch))
        self.assertEqual([process.poll() for process in (watched, self.others_run, self.nobodys)], [None, None, None])

    def test_a_runner_that_is_killed(self) -> None:
        marked = self.start(*SLEEP, run=f"{self.run_id}/3#1")
        group = self.start("sh", "-c", "sleep 1000 & wait", stdout=subprocess.PIPE)
        # the shell is the runner; its own standard input is not passed on to what it starts in the background
        runner = self.start_reaper('exec 3<&0; "$@" $$ <&3 & echo started; wait')
        assert runner.stdout is not None
        self.assertEqual(runner.stdout.readline(), b"started\n")
        self.tell(runner, f"+{group.pid}", f"+{self.nobodys.pid}", f"-{self.nobodys.pid}")
        runner.kill()
        # its output ends with the last process that has it, which is the reaper
        self.assertEqual(runner.communicate(timeout=PATIENCE), (b"", None))
        self.assertEqual(group.communicate(timeout=PATIENCE), (b"", None))
        self.assertEqual((group.returncode, marked.wait(PATIENCE)), (-signal.SIGKILL, -signal.SIGKILL))
        self.assertFalse(os.path.exists(self.scratch))
        self.assertEqual((self.others_run.poll(), self.nobodys.poll()), (None, None))

    def test_a_run_that_comes_to_its_end(self) -> None:
        reaper = self.start_reaper('exec "$@" $PPID')
        self.tell(reaper, f"+{self.nobodys.pid}", "done")
        self.check_ends_in_peace(reaper, self.start(*SLEEP, run=f"{self.run_id}/3#1"))

    def test_a_runner_that_lives_and_has_lost_its_pipe(self) -> None:
        reaper = self.start_reaper('exec "$@" $PPID')
        self.tell(reaper, f"+{self.nobodys.pid}")
        self.check_ends_in_peace(reaper, self.start(*SLEEP, run=f"{self.run_id}/3#1"))
