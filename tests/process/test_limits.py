"""Limits in a run: without these tests, a test could use more than allowed, or its end be explained wrongly."""

from __future__ import annotations

import os
import sys
import unittest
import unittest.mock
from typing import Any

from isolatedunit import IsolatedTestRunner
from isolatedunit.model.events import Event
from isolatedunit.model.events import TestFinished as Finished
from tests.support.command_line import Completed
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

GREEDY = """
import os, subprocess, sys, time, unittest
from isolatedunit import isolated

class Greedy(unittest.TestCase):
    def test_output(self):
        print("the beginning")
        while True:
            os.write(1, b"x" * 1_000_000)

    def test_error_output(self):
        while True:
            os.write(2, b"x" * 1_000_000)

    @isolated(memory_limit="4G")
    def test_processes(self):
        children = []
        while True:
            children.append(subprocess.Popen(["sleep", "1000"]))

    def test_files(self):
        self.files = []
        while True:
            self.files.append(open(os.devnull))

    def test_memory_slowly(self):
        kept = []
        while True:
            kept.append(b"x" * 5_000_000)
            time.sleep(0.01)

    def test_memory_at_once(self):
        b"x" * 2**36

    @isolated(memory_limit="1G", max_output="1G", max_open_files=4096, max_processes=1000)
    def test_within_its_own(self):
        os.write(1, b"x" * 3_000_000)
        self.kept = b"x" * 150_000_000
        files = [open(os.devnull) for _ in range(100)]
        for file in files:
            file.close()
"""


LIMITS = ("--max-output", "2M", "--max-processes", "4", "--max-open-files", "64", "--memory-limit", "100M")


@unittest.skipUnless(sys.platform == "linux", "limits are the kernel's, and this looks for Linux's")
class LimitsTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_greedy.py", GREEDY)

    def run_limited(self, *arguments: str) -> dict[str, dict[str, Any]]:
        ended = self.run_here(*LIMITS, "--parallel-by", "test", *arguments)
        self.assertEqual(ended.exit_code, 1, ended.output)
        return {name.rpartition(".")[2]: test for name, test in ended.tests().items()}

    def test_each_ends_at_its_limit(self) -> None:
        tests = self.run_limited()
        found = {name: (test["outcome"], test["cause"]) for name, test in tests.items()}
        self.assertEqual(
            found,
            {
                "test_output": ("error", "output"),
                "test_error_output": ("error", "output"),
                "test_processes": ("error", "processes"),
                "test_files": ("error", None),
                "test_memory_slowly": ("error", "memory"),
                "test_memory_at_once": ("error", "memory"),
                "test_within_its_own": ("passed", None),
            },
        )
        self.check_messages(tests)

    def test_a_fresh_interpreter_has_them_too(self) -> None:
        names = [f"test_greedy.Greedy.test_{name}" for name in ("files", "memory_at_once")]
        tests = self.run_limited("--start-method", "spawn", *names)
        self.assertEqual([test["cause"] for test in tests.values()], [None, "memory"])

    def test_cpu_time_of_children_counts_together_at_the_end_and_while_the_test_runs(self) -> None:
        self.write(
            "test_busy.py",
            """
            import subprocess, sys, time, unittest
            class Busy(unittest.TestCase):
                def test_ends(self):
                    for _ in range(2):  # neither of which the kernel ends
                        program = "import time; all(iter(lambda: time.process_time() < 0.55, False))"
                        subprocess.run([sys.executable, "-S", "-c", program], check=True)

                def test_goes_on(self):
                    self.test_ends()
                    time.sleep(600)
            """,
        )
        tests = self.run_here("--cpu-limit", "1", "--process-timeout", "240", "test_busy").tests().values()
        self.assertEqual([(test["outcome"], test["cause"]) for test in tests], [("error", "cpu")] * 2)

    def check_messages(self, tests: dict[str, dict[str, Any]]) -> None:
        self.assertRegex(tests["test_output"]["message"], r"wrote [\d,]+ bytes; the limit is 2,097,152 \(max_output\)")
        self.assertTrue(tests["test_output"]["stdout"].startswith("the beginning\n"))
        self.assertIn("bytes left out", tests["test_output"]["stdout"])
        self.assertRegex(tests["test_processes"]["message"], r"had \d+ processes at once; the limit is 4")
        self.assertIn("Too many open files", tests["test_files"]["message"])
        # on a machine that is too busy to look often, the kernel is first, and then there is no more memory to be had
        slowly = tests["test_memory_slowly"]["message"] + tests["test_memory_slowly"]["traceback"]
        self.assertRegex(slowly, r"used [\d,]+ bytes of memory; the limit is 104,857,600|MemoryError")
        self.assertIn("MemoryError", tests["test_memory_at_once"]["traceback"])


KILLED = """
import os, signal, unittest

class Killed(unittest.TestCase):
    def test_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)
"""


class OutOfMemoryTest(ProjectTestCase):
    @unittest.skipUnless(sys.platform == "linux", "SIGKILL")
    def test_a_kill_by_the_kernel_is_told_as_memory(self) -> None:
        self.write("test_killed.py", KILLED)
        sys.path.insert(0, self.directory)
        self.addCleanup(sys.path.remove, self.directory)
        self.addCleanup(sys.modules.pop, "test_killed", None)
        suite = unittest.defaultTestLoader.loadTestsFromName("test_killed")
        reports: list[Finished] = []

        class Listening:
            def handle(self, event: Event) -> None:
                if isinstance(event, Finished):
                    reports.append(event)

        for start_method, kills, cause in (
            *((method, [1, 2], "memory") for method in START_METHODS),
            (START_METHODS[-1], [1, 1], "crash"),
        ):
            with (
                self.subTest(start_method, cause=cause),
                open(os.devnull, "w") as stream,
                unittest.mock.patch("isolatedunit.engine.monitor.count_oom_kills", side_effect=kills),
            ):
                IsolatedTestRunner(stream, listeners=[Listening()], start_method=start_method).run(suite)
                self.assertEqual(reports[-1].report.cause, cause)


@unittest.skipUnless(sys.platform == "linux", "looks into /proc")
class RunnersMemoryTest(ProjectTestCase):
    def test_much_output_costs_the_runner_little(self) -> None:
        self.write("test_little.py", GREEDY.replace("test_within_its_own", "test_other"))
        sizes = {}
        for name in ("test_files", "test_output"):
            ended = self.peak_of_runner(f"test_little.Greedy.{name}")
            sizes[name] = int(ended.output.rpartition("PEAK ")[2])
        self.assertLess(sizes["test_output"] - sizes["test_files"], 10 * 2**20)

    def peak_of_runner(self, test: str) -> Completed:
        from tests.support.command_line import run_python

        script = (
            "import sys\n"
            "from isolatedunit.cli.main import main\n"
            "main(sys.argv[1:])\n"
            "import resource\n"
            "print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
        )
        return run_python("-c", script, "--max-output", "256M", "--max-open-files", "64", test, cwd=self.directory)
