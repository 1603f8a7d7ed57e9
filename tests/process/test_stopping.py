"""Runs that end early: without these tests, a signal could leave processes, or tests that did not run go unnamed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import unittest
from functools import partial
from typing import Any

import psutil

from tests.support.command_line import Completed, run_python
from tests.support.processes import heed_signals, processes_of_run
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE, wait_until

MIXED = """
import os, time, unittest

class Mixed(unittest.TestCase):
    def test_a_passes(self):
        pass

    def test_b_crashes(self):
        os._exit(3)

    def test_c_fails(self):
        self.fail()

    def test_d_crashes(self):
        os._exit(3)

    def test_e_passes(self):
        pass
"""


WAITING = """
import os, time, unittest

class Waiting(unittest.TestCase):
    def test_a_waits(self):
        with open("began", "w") as file:
            file.write(str(os.getpid()))
        while not os.path.exists("go"):
            time.sleep(0.01)

    def test_b_later(self):
        pass
"""


def has_status(process: psutil.Process, status: str) -> bool:
    return bool(process.status() == status)


class EarlyStopTest(ProjectTestCase):
    def check(self, ended: Completed, ran: str, not_run: str, reason: str) -> None:
        self.assertEqual(ended.exit_code, 1, ended.output)
        assert ended.report is not None
        self.assertEqual("".join(sorted(name.split("_")[-2] for name in ended.tests())), ran)
        self.assertEqual("".join(name.split("_")[-2] for name in ended.report["not_run"]), not_run)
        self.assertEqual(ended.report["missing"], [])
        count = f"{len(not_run)} test{' was' if len(not_run) == 1 else 's were'}"
        self.assertIn(f"isolatedunit: {count} not run because {reason}", ended.output)
        for name in ended.report["not_run"]:
            self.assertIn(f"\n  {name}\n", ended.output)

    def test_after_so_many(self) -> None:
        self.write("test_mixed.py", MIXED)
        self.check(self.run_here("--max-failures", "2"), "abc", "de", "2 tests failed (--max-failures 2)")
        self.check(self.run_here("--max-crashes", "2"), "abcd", "e", "2 tests crashed (--max-crashes 2)")
        self.check(self.run_here("-f"), "ab", "cde", "a test failed (--failfast)")

    def test_after_a_time(self) -> None:
        self.write("test_waiting.py", WAITING)
        ended = self.run_here("--run-timeout", "1")
        self.check(ended, "a", "b", "the run took longer than 1 s (--run-timeout)")
        (test,) = ended.tests().values()
        self.assertEqual((test["outcome"], test["cause"]), ("error", "cancelled"))
        self.assertIn("the run took longer than 1 s", test["message"])


@unittest.skipUnless(hasattr(signal, "SIGTSTP"), "POSIX's signals")
class SignalsTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_waiting.py", WAITING)

    def begin(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """Start a run, and wait until its first test runs."""
        self.report = os.path.join(self.directory, "report.json")
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self.directory, "began"))  # by a run before
        runner = self.start_here("--json", self.report, *arguments, text=True, **{"preexec_fn": heed_signals, **more})
        self.child = int(wait_until(lambda: self.read("began"), "the test to begin"))
        return runner

    def read(self, name: str) -> str:
        try:
            with open(os.path.join(self.directory, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def end(self, runner: subprocess.Popen[str]) -> Completed:
        import json

        output, _ = runner.communicate(timeout=PATIENCE)
        report = json.loads(self.read("report.json"))
        self.assertEqual(processes_of_run(report["run"]["id"]), [])
        return Completed(runner.returncode, output, report)

    def test_those_that_end_a_run(self) -> None:
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            with self.subTest(name):
                runner = self.begin()
                runner.send_signal(getattr(signal, name))
                ended = self.end(runner)
                self.assertEqual(ended.exit_code, 130)
                self.assertIn("interrupted: running tests are terminated (interrupt again to kill them)", ended.output)
                (test,) = ended.tests().values()
                self.assertEqual(test["cause"], "cancelled")
                assert ended.report is not None
                self.assertEqual(ended.report["not_run"], ["test_waiting.Waiting.test_b_later"])
                os.unlink(os.path.join(self.directory, "began"))
        self.assertRegex(ended.output, r"\nTo run these, and what failed: python -m isolatedunit .*--last-failed\n")
        # it has left no failure behind, and what it did not reach is known
        self.assertIn("has no runs yet", self.run_here("history", report=False).output)
        self.write("go", "")
        again = self.run_here("--last-failed")
        self.assertEqual(again.last_line, "2 passed, 0 failed, 0 skipped")
        self.assertIn("--last-failed: 2 of 2 tests did not run to an end\n", again.output)

    def test_one_that_is_ignored_stays_ignored(self) -> None:
        # as nohup does it
        runner = self.begin(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        runner.send_signal(signal.SIGHUP)
        self.write("go", "")
        self.assertEqual(self.end(runner).last_line, "2 passed, 0 failed, 0 skipped")

    def test_catchbreak_lets_what_runs_finish(self) -> None:
        runner = self.begin("-c")
        runner.send_signal(signal.SIGINT)
        self.wait_for_output(runner, "may finish (interrupt again to terminate them)")
        self.write("go", "")
        ended = self.end(runner)
        self.assertEqual(ended.exit_code, 130)
        self.assertEqual(ended.outcomes(), {"test_waiting.Waiting.test_a_waits": "passed"})

    def wait_for_output(self, runner: subprocess.Popen[str], text: str) -> str:
        """Read lines until one has the text in it."""
        assert runner.stdout is not None
        seen = ""
        while text not in seen:
            line = runner.stdout.readline()
            self.assertTrue(line, f"{text!r} never came:\n{seen}")
            seen += line
        return seen

    def test_what_runs_is_shown(self) -> None:
        for name in ("SIGQUIT", "SIGUSR1"):
            with self.subTest(name):
                runner = self.begin()
                runner.send_signal(getattr(signal, name))
                shown = self.wait_for_output(runner, "in test_a_waits")
                self.assertRegex(shown, r"1 running\ntest_waiting.Waiting.test_a_waits: running, for [\d.]+ s\n")
                self.write("go", "")
                ended = self.end(runner)
                self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped")
                os.unlink(os.path.join(self.directory, "began"))
                os.unlink(os.path.join(self.directory, "go"))

    def test_suspended_and_let_go_on(self) -> None:
        runner = self.begin("--process-timeout", "1.5")
        runner.send_signal(signal.SIGTSTP)
        processes = psutil.Process(runner.pid), psutil.Process(self.child)
        for process in processes:
            wait_until(partial(has_status, process, psutil.STATUS_STOPPED), "it to be stopped")
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 2, "longer than the test may take")
        runner.send_signal(signal.SIGCONT)
        wait_until(lambda: processes[1].status() != psutil.STATUS_STOPPED, "the test to go on")
        self.write("go", "")
        self.assertEqual(self.end(runner).last_line, "2 passed, 0 failed, 0 skipped")


STUCK = """
import os, sys, time, unittest
from isolatedunit import IsolatedTestRunner

class It(unittest.TestCase):
    def test_it(self):
        pass

class Stuck:
    def handle(self, event):
        if type(event).__name__ == "TestFinished":
            stand_still()

def stand_still():
    while b"most recent call first" not in open("stacks", "rb").read():
        time.sleep(0.01)

if __name__ == "__main__":
    os.dup2(os.open("stacks", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(It)
    IsolatedTestRunner(sys.stdout, listeners=[Stuck()], watchdog_timeout=0.5).run(suite)
"""


class WatchdogTest(ProjectTestCase):
    def test_a_runner_that_is_stuck_tells_where(self) -> None:
        script = self.write("stuck.py", STUCK)
        ended = run_python(script, cwd=self.directory)
        self.assertEqual(ended.last_line, "1 passed, 0 failed, 0 skipped", ended.output)
        with open(os.path.join(self.directory, "stacks"), encoding="utf-8") as file:
            stacks = file.read()
        self.assertIn("in stand_still", stacks)
