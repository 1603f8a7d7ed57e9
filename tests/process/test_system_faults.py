"""Faults of the system: without these tests, one failing call could hang a run or lose a test's report."""

from __future__ import annotations

import os
import tempfile
import unittest
import unittest.mock
import uuid
from collections.abc import Sequence

from tests.support.command_line import Completed, environment
from tests.support.killed_runner import VARIABLE
from tests.support.paths import FAULTS
from tests.support.processes import processes_with
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

SUITE = """
import os, subprocess, time, unittest

class Suite(unittest.TestCase):
    def test_a(self): pass
    def test_b(self): self.fail("as it should")
    def test_c(self): os.abort()
    def test_d(self): print("x" * 100_000)
    def test_e(self): subprocess.Popen(["sleep", "600"])
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

    def check(self, method: str, *faults: str, flags: Sequence[str] = (), unharmed: bool = False) -> None:
        """Run the suite with the faults: every test has to be reported, and *unharmed* says that nothing is to show."""
        with self.subTest(faults, start_method=method):
            # a fresh interpreter for each test takes its time: one module has enough of them, and no template anyway
            modules = "b" if method == "spawn" else "ab"
            ended = self.run_with(faults, "--start-method", method, "-p", f"test_[{modules}].py", *flags)
            self.assertIn(ended.exit_code, (0, 1, 3), ended.output)
            self.check_report(ended, unharmed, modules)

    def run_with(self, faults: Sequence[str], *flags: str, report: bool = True) -> Completed:
        """Run it; each of the faults has to come about."""
        mark = uuid.uuid4().hex
        path = os.pathsep.join([FAULTS, environment()["PYTHONPATH"]])
        counter = os.path.join(self.directory, f"counter-{mark}")
        env = environment(FAULT="; ".join(faults), FAULT_COUNTER=counter, PYTHONPATH=path, **{VARIABLE: mark})
        ended = self.run_here("-j", "2", *flags, env=env, report=report)
        self.assertEqual(processes_with(VARIABLE, mark), [])
        for index, fault in enumerate(faults):
            last = int(fault.split()[2].rpartition(",")[2])
            self.assertGreater(os.path.getsize(f"{counter}-{index}"), last, f"no such call was made: {fault}")
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

    def test_an_interpreter_or_a_fork_is_not_to_be_had_at_first(self) -> None:
        self.check("forkserver", "runner os.posix_spawn 0 1 EAGAIN", unharmed=True)  # the template's
        self.check("spawn", "runner os.posix_spawn 2 1 ENOMEM", unharmed=True)
        self.check("forkserver", "child os.fork 0,2,6 1 EAGAIN", unharmed=True)

    def test_no_interpreter_can_be_started(self) -> None:
        self.check("spawn", "runner os.posix_spawn 1 100000 EAGAIN")
        self.check("spawn", "runner os.posix_spawn 1 100000 ENOENT")

    def test_no_fork_succeeds(self) -> None:
        self.check("forkserver", "child os.fork 3 100000 ENOMEM")

    def test_a_write_to_a_child_fails(self) -> None:
        # what a child was never told is told again to another when this one has not begun in time
        sendmsg = "runner socket.socket.sendmsg 3 1 EPIPE"
        self.check("forkserver", "runner os.write 0,4 1 EPIPE", sendmsg, flags=("--spawn-timeout", "1"))

    def test_the_run_s_directory_cannot_be_written_to(self) -> None:
        lock = 1  # the second write, after the one with which tempfile tries a place
        with tempfile.TemporaryDirectory() as temporary, unittest.mock.patch.dict(os.environ, TMPDIR=temporary):
            faults = [f"runner os.write {lock} 1 ENOSPC"]
            ended = self.run_with(faults, "--start-method", "forkserver", report=False)
            self.assertEqual(os.listdir(temporary), [])
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertRegex(ended.output, r"^isolatedunit: no directory for temporary files can be created: .*\n$")

    def test_a_read_from_a_child_and_a_wait_fail(self) -> None:
        waits = "runner os.wait4 0 1 ECHILD", "child os.wait4 0,3 1 ECHILD"
        self.check("forkserver", "runner os.read 1,9 1 EIO", *waits)

    def test_what_goes_between_the_runner_and_interpreters_fails(self) -> None:
        self.check("spawn", "runner os.write 3,6 1 EPIPE", flags=("--spawn-timeout", "1"))
        self.check("spawn", "runner os.read 3 1 ECONNRESET")
        self.check("spawn", "runner os.wait4 3 1 ECHILD")

    def test_a_child_s_own_write_fails(self) -> None:
        self.check("forkserver", "child os.write 0 1 EPIPE")
        self.check("spawn", "child os.write 2 1 EPIPE")

    def test_a_kill_fails(self) -> None:
        self.write("test_b.py", SUITE + HANGING)
        # a template, which inherits what a test leaves, ends that process by process
        flags = ("--process-timeout", "1")
        self.check("spawn", "runner os.kill 0 1 EPERM", "runner os.killpg 0 1 EPERM", flags=flags)
        self.check("forkserver", "child os.kill 0 1 EPERM", flags=flags)

    def test_no_descriptor_is_left(self) -> None:
        numbers = "runner os.pipe 3 2 EMFILE", "runner os.open 5 2 EMFILE", "runner os.pidfd_open 3 2 EMFILE"
        self.check("spawn", *numbers)
        self.check("forkserver", "runner builtins.open 3 2 EMFILE")

    def test_no_memory_is_left(self) -> None:
        flags = ("--cleanup-timeout", "3")
        decode, encode = (
            f"runner isolatedunit.protocol.channel.{name} 5 1 MemoryError" for name in ("decode", "encode")
        )
        self.check("forkserver", decode, "runner os.read 12 1 MemoryError", flags=flags)
        self.check("spawn", encode, flags=flags)

    def test_the_disk_is_full(self) -> None:
        for name in ("os.replace", "tempfile.mkstemp"):
            with self.subTest(name):
                faults = [f"runner {name} 0 1000 ENOSPC"]
                ended = self.run_with(faults, "-p", "test_b.py", "--json", "report.json", report=False)
                self.assertIn(ended.exit_code, (1, 3), ended.output)
                self.assertNotIn('Traceback (most recent call last):\n  File "/', ended.output.partition("====")[0])
                self.assertEqual(ended.last_line, "4 passed, 2 failed, 0 skipped")
