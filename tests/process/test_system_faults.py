"""Faults of the system: without these tests, one failing call could hang a run or lose a test's report."""

from __future__ import annotations

import os
import tempfile
import unittest
import unittest.mock
import uuid

from tests.support.command_line import Completed, environment
from tests.support.killed_runner import VARIABLE
from tests.support.paths import FAULTS
from tests.support.processes import processes_with
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

SUITE = """
import os, subprocess, sys, time, unittest

class Suite(unittest.TestCase):
    def test_a(self): pass
    def test_b(self): self.fail("as it should")
    def test_c(self): os.abort()
    def test_d(self): print("x" * 100_000)
    def test_e(self): subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    def test_f(self): pass
"""


HANGING = """
import time, unittest

class Hanging(unittest.TestCase):
    def test_g(self): time.sleep(600)
    def test_h(self): pass
"""


GOOD = {"a": "passed", "b": "failed", "c": "error", "d": "passed", "e": "passed", "f": "passed"}


@unittest.skipUnless("forkserver" in START_METHODS, "what fails here are calls of POSIX")
class FaultsTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_a.py", SUITE)
        self.write("test_b.py", SUITE)
        self.fired = False

    def check(self, fault: str, method: str, *flags: str, unharmed: bool = False) -> None:
        """Run the suite with the fault: every test has to be reported, and *unharmed* says that nothing is to show."""
        with self.subTest(fault, start_method=method):
            self.fired = False
            # a fresh interpreter for each test takes its time: one module has enough of them, and no template anyway
            modules = "b" if method == "spawn" else "ab"
            ended = self.run_with(fault, "--start-method", method, "-p", f"test_[{modules}].py", *flags)
            self.assertIn(ended.exit_code, (0, 1, 3), ended.output)
            self.check_report(ended, unharmed, modules)
            self.assertTrue(self.fired, f"no such call was made: {fault}")

    def run_with(self, fault: str, *flags: str, report: bool = True) -> Completed:
        mark = uuid.uuid4().hex
        path = os.pathsep.join([FAULTS, environment()["PYTHONPATH"]])
        counter = os.path.join(self.directory, f"counter-{mark}")
        env = environment(FAULT=fault, FAULT_COUNTER=counter, PYTHONPATH=path, **{VARIABLE: mark})
        ended = self.run_here("-j", "2", *flags, env=env, report=report)
        self.assertEqual(processes_with(VARIABLE, mark), [])
        self.fired |= os.path.exists(counter) and os.path.getsize(counter) > int(fault.split()[2])
        return ended

    def check_report(self, ended: Completed, unharmed: bool, modules: str) -> None:
        if ended.report is None:
            self.fail(ended.output)
        outcomes = ended.outcomes()
        self.assertEqual(ended.report["missing"], [])
        for module in modules:
            for test, good in GOOD.items():
                outcome = outcomes.pop(f"test_{module}.Suite.test_{test}", None)
                self.assertIn(outcome, (good,) if unharmed else (good, "error"), f"{module}.{test}: {ended.output}")
        self.assertLessEqual(set(outcomes), {"test_b.Hanging.test_g", "test_b.Hanging.test_h"})

    def test_an_interpreter_cannot_be_started(self) -> None:
        self.check("runner os.posix_spawn 0 1 EAGAIN", "forkserver", unharmed=True)  # the template's
        self.check("runner os.posix_spawn 2 1 ENOMEM", "spawn", unharmed=True)
        self.check("runner os.posix_spawn 1 100000 EAGAIN", "spawn")
        self.check("runner os.posix_spawn 1 100000 ENOENT", "spawn")

    def test_a_fork_fails(self) -> None:
        for skip in (0, 1, 4):
            self.check(f"child os.fork {skip} 1 EAGAIN", "forkserver", unharmed=True)
        self.check("child os.fork 3 100000 ENOMEM", "forkserver")

    def test_a_write_to_a_child_fails(self) -> None:
        # what a child was never told is told again to another when this one has not begun in time
        for fault, method in (
            ("os.write 0", "forkserver"),
            ("os.write 3", "spawn"),
            ("os.write 4", "forkserver"),
            ("os.write 6", "spawn"),
            ("socket.socket.sendmsg 3", "forkserver"),
        ):
            self.check(f"runner {fault} 1 EPIPE", method, "--spawn-timeout", "2")

    def test_the_run_s_directory_cannot_be_written_to(self) -> None:
        lock = 1  # the second write, after the one with which tempfile tries a place
        with tempfile.TemporaryDirectory() as temporary, unittest.mock.patch.dict(os.environ, TMPDIR=temporary):
            ended = self.run_with(f"runner os.write {lock} 1 ENOSPC", "--start-method", "forkserver", report=False)
            self.assertEqual(os.listdir(temporary), [])
        self.assertTrue(self.fired)
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertRegex(ended.output, r"^isolatedunit: no directory for temporary files can be created: .*\n$")

    def test_a_read_from_a_child_fails(self) -> None:
        for fault, method in (("1 1 EIO", "forkserver"), ("3 1 EIO", "spawn"), ("9 1 ECONNRESET", "forkserver")):
            self.check(f"runner os.read {fault}", method)

    def test_a_child_s_own_write_fails(self) -> None:
        for skip, method in ((0, "forkserver"), (2, "spawn")):
            self.check(f"child os.write {skip} 1 EPIPE", method)

    def test_a_wait_fails(self) -> None:
        self.check("runner os.wait4 0 1 ECHILD", "forkserver")
        self.check("runner os.wait4 3 1 ECHILD", "spawn")
        for skip in (0, 3):
            self.check(f"child os.wait4 {skip} 1 ECHILD", "forkserver")

    def test_a_kill_fails(self) -> None:
        self.write("test_b.py", SUITE + HANGING)
        # a template, which inherits what a test leaves, ends that process by process
        for call, method in (
            ("runner os.kill", "spawn"),
            ("runner os.killpg", "spawn"),
            ("child os.kill", "forkserver"),
        ):
            self.check(f"{call} 0 1 EPERM", method, "--process-timeout", "1")

    def test_no_descriptor_is_left(self) -> None:
        for name, method in (
            ("os.open", "spawn"),
            ("os.pipe", "spawn"),
            ("os.pidfd_open", "spawn"),
            ("builtins.open", "forkserver"),
        ):
            self.check(f"runner {name} 3 2 EMFILE", method)

    def test_no_memory_is_left(self) -> None:
        for name, method in (
            ("isolatedunit.protocol.channel.decode", "forkserver"),
            ("isolatedunit.protocol.channel.encode", "spawn"),
            ("os.read", "forkserver"),
        ):
            self.check(f"runner {name} 5 1 MemoryError", method, "--cleanup-timeout", "3")

    def test_the_disk_is_full(self) -> None:
        for name in ("os.replace", "tempfile.mkstemp", "os.fsync"):
            with self.subTest(name):
                ended = self.run_with(f"runner {name} 0 1000 ENOSPC", "--json", "report.json", report=False)
                self.assertIn(ended.exit_code, (1, 3), ended.output)
                self.assertNotIn('Traceback (most recent call last):\n  File "/', ended.output.partition("====")[0])
                self.assertEqual(ended.last_line, "8 passed, 4 failed, 0 skipped")
        self.assertTrue(self.fired)
