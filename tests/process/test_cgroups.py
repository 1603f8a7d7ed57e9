"""Control groups of tests: without these tests, a kill by the kernel could be taken for a crash."""

from __future__ import annotations

import os
import sys
import unittest
import unittest.mock

from isolatedunit import IsolatedTestRunner
from isolatedunit.model.events import Event
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.system import cgroups
from isolatedunit.system.cgroups import ControlGroup, find_parent
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

KILLED = """
import os, signal, unittest

class Killed(unittest.TestCase):
    def test_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)
"""


class CgroupsTest(ProjectTestCase):
    @unittest.skipUnless(sys.platform == "linux", "Linux has them")
    def test_a_test_joins_its_own_and_a_kill_in_it_is_told_as_memory(self) -> None:
        self.write("test_killed.py", KILLED)
        sys.path.insert(0, self.directory)
        self.addCleanup(sys.path.remove, self.directory)
        self.addCleanup(sys.modules.pop, "test_killed", None)
        suite = unittest.defaultTestLoader.loadTestsFromName("test_killed")
        heard: list[Event] = []

        class Listening:
            def handle(self, event: Event) -> None:
                heard.append(event)

        for number, start_method in enumerate(START_METHODS):
            parent = os.path.dirname(self.write(f"fs{number}/cgroup.subtree_control", "memory\n"))
            with (
                self.subTest(start_method),
                open(os.devnull, "w") as stream,
                unittest.mock.patch("isolatedunit.engine.launch.find_parent", return_value=parent),
                unittest.mock.patch.object(ControlGroup, "killed_for_memory", True),
                unittest.mock.patch.object(ControlGroup, "peak", 123_456_789),
            ):
                runner = IsolatedTestRunner(
                    stream, listeners=[Listening()], start_method=start_method, memory_limit="100M"
                )
                runner.run(suite)
                report = next(event.report for event in reversed(heard) if isinstance(event, Finished))
                self.assertEqual(report.cause, "memory")
                self.assertIn("used 123,456,789 bytes of memory; the limit is 104,857,600", report.message)
                (made,) = [name for name in os.listdir(parent) if name.startswith("isolatedunit-")]
                with open(os.path.join(parent, made, cgroups.MEMBERS), "rb") as file:
                    self.assertEqual(file.read(), b"0")


REAL = """
    import os, subprocess, sys, unittest
    from isolatedunit import isolated

    HOARD = "x = bytearray(150 << 20)\\nfor place in range(0, len(x), 4096): x[place] = 1"

    class Real(unittest.TestCase):
        @isolated(memory_limit="100M")
        def test_child_hoards(self):
            subprocess.run([sys.executable, "-c", HOARD])

        @isolated(memory_limit="60M")
        def test_fills_shared_memory(self):
            with open("/dev/shm/" + os.path.basename(os.getcwd()), "wb") as file:
                os.unlink(file.name)
                for _ in range(200):
                    file.write(b"x" * (1 << 20))

        @isolated(memory_limit="100M")
        def test_passes(self):
            with open("/proc/self/cgroup") as file:
                self.assertIn("/isolatedunit-", file.read())
    """


@unittest.skipUnless(find_parent(), "there is no control group of version 2 that may be written to")
class RealTest(ProjectTestCase):
    def test_the_kernel_holds_tests_to_their_limits(self) -> None:
        self.write("test_real.py", REAL)
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("test_real", "--start-method", method, "--spawn-timeout", "60")
                causes = {test_id.rpartition(".")[2]: test["cause"] for test_id, test in ended.tests().items()}
                expected = {"test_child_hoards": "memory", "test_fills_shared_memory": "memory", "test_passes": None}
                self.assertEqual(causes, expected, ended.output)
                parent = find_parent()
                assert parent is not None and ended.report is not None
                run = ended.report["run"]["id"]
                self.assertEqual([name for name in os.listdir(parent) if run in name], [], "they are removed")
