"""The pool of idle interpreters: without these tests, a test could run in a process of another environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import unittest
from unittest import mock

import psutil

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import Setting
from isolatedunit.backends.lean_start import IS_LEAN
from isolatedunit.backends.spawn.idle_pool import IdlePool, Interpreter
from isolatedunit.backends.spawn.orphan_reaper import OrphanReaper
from isolatedunit.errors import SpawnError
from isolatedunit.system.usage import Processors
from tests.support.processes import processes_of_run
from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


needs_lean = unittest.skipUnless(IS_LEAN, "interpreters are started ahead where there is os.posix_spawn")


class ProcessorsTest(ProjectTestCase):
    """How many there are, as control groups have it, on a tree of files that looks like the kernel's."""

    def test_of_this_machine(self) -> None:
        processors = Processors()
        self.assertTrue(0.0 < processors.count <= processors.installed)
        idle = processors.idle_time()
        self.assertTrue(idle is None or idle >= 0.0)
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
            self.addCleanup(child.kill)
            before = processors.used_by_children([child.pid])
            wait_until(lambda: processors.used_by_children([child.pid]) > before, "the child to use a processor")
            child.kill()
            child.wait()
        self.assertGreaterEqual(processors.used_by_children([]), before)


@needs_lean
class IdlePoolTest(ProjectTestCase):
    """What waits is used while a new process would be the same, and is ended otherwise."""

    def setUp(self) -> None:
        super().setUp()
        self.run_id = os.urandom(4).hex()
        self.setting = Setting(
            run=self.run_id,
            scratch=self.directory,
            jobs=2,
            capture=True,
            sys_path=tuple(sys.path),
            argv=("x",),
            directory=self.directory,
            warn=self.fail,
        )
        self.orphan_reaper = OrphanReaper(self.setting)
        self.addCleanup(self.orphan_reaper.close)
        self.reserve = IdlePool()
        self.addCleanup(self.reserve.close)
        self.count = 0

    def start(self) -> Interpreter:
        self.count += 1
        capture = Capture(self.setting, str(self.count))
        interpreter = Interpreter(self.setting, capture, f"{self.run_id}/ahead#{self.count}", self.orphan_reaper)
        self.reserve.add(interpreter)
        return interpreter

    def let_go(self, interpreter: Interpreter) -> None:
        interpreter.kill()
        wait_until(lambda: interpreter.is_gone, "it to end")
        interpreter.close()

    def assert_replaced(self) -> None:
        """What waited is not given to anybody, and ends."""
        waiting = self.reserve.process_ids
        self.assertIsNone(self.reserve.take())
        self.assertEqual(self.reserve.process_ids, [])
        for process_id in waiting:
            # until it is gone, so that nobody takes it for a leftover of a test
            self.assertTrue(self.reserve.knows(process_id) or not psutil.pid_exists(process_id))
        self.reserve.close()
        for process_id in waiting:
            self.assertFalse(psutil.pid_exists(process_id))
            self.assertFalse(self.reserve.knows(process_id))
        self.assertEqual(processes_of_run(f"{self.run_id}/ahead"), [])

    def test_who_waited_longest_is_first(self) -> None:
        first, second = self.start(), self.start()
        self.assertEqual(self.reserve.process_ids, [first.process_id, second.process_id])
        for expected in (first, second):
            taken = self.reserve.take()
            self.assertIs(taken, expected)
            self.let_go(expected)
        self.assertIsNone(self.reserve.take())

    def test_the_environment_changed(self) -> None:
        with mock.patch.dict(os.environ):
            self.start()
            self.start()
            os.environ["CHANGED_SINCE"] = "yes"
            later = self.start()
            self.assertIs(self.reserve.take(), later)
            self.let_go(later)
            self.start()
            del os.environ["CHANGED_SINCE"]
            self.assert_replaced()

    def test_the_directory_changed(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        self.start()
        os.chdir(self.directory)
        self.assert_replaced()

    @unittest.skipIf(resource is None, "limits are POSIX's")
    def test_a_limit_changed(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_CORE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        self.start()
        if hard == 0:
            self.skipTest("this process may have no core at all")
        resource.setrlimit(resource.RLIMIT_CORE, (1, hard))
        self.assert_replaced()

    @unittest.skipUnless(sys.platform == "linux", "only Linux tells it")
    def test_the_umask_changed(self) -> None:
        self.start()
        self.addCleanup(os.umask, os.umask(0o137))
        self.assert_replaced()

    @unittest.skipUnless(sys.platform == "linux", "only Linux tells it")
    def test_a_signal_is_blocked_since(self) -> None:
        self.start()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
        self.addCleanup(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        self.assert_replaced()

    def test_who_died_is_not_used(self) -> None:
        dead, alive = self.start(), self.start()
        os.kill(dead.process_id, signal.SIGKILL)
        wait_until(lambda: dead.is_gone, "it to end")
        self.assertIs(self.reserve.take(), alive)
        self.let_go(alive)

    def test_none_is_left(self) -> None:
        for _ in range(3):
            self.start()
        self.reserve.end_all()
        self.start()
        self.reserve.close()
        self.assertEqual(processes_of_run(f"{self.run_id}/ahead"), [])
        self.assertEqual(os.listdir(self.directory), [])

    def test_it_ends_when_nobody_can_give_it_work(self) -> None:
        interpreter = self.start()
        interpreter.channel.close()
        wait_until(lambda: interpreter.is_gone, "it to see that its channel was closed")

    def test_no_reaper_no_interpreter(self) -> None:
        with (
            mock.patch("subprocess.Popen", side_effect=OSError("none left")),
            self.assertRaises(SpawnError) as told,
        ):
            self.start()
        self.assertIn("none left", str(told.exception))
        self.assertEqual(processes_of_run(f"{self.run_id}/ahead"), [])
