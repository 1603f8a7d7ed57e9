"""Runs in containers: without these tests, a test could reach out of its container, or leave one behind."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
from typing import Any

from tests.support.beyond import needs
from tests.support.command_line import Completed
from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

IMAGE = os.environ.get("TESTS_IMAGE", "localhost/isolatedunit-test")
LABEL = "isolatedunit.run"


def containers() -> list[str]:
    listed = subprocess.run(
        ["podman", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()


@needs(commands=["podman", "runc"], root=True)
class ContainerTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        found = subprocess.run(["podman", "image", "exists", IMAGE], stdin=subprocess.DEVNULL, check=False)
        if found.returncode:
            self.skipTest(f"podman has no image {IMAGE}; .ci/beyond makes it")

    def run_in_containers(self, *arguments: str) -> Completed:
        slow = ("--spawn-timeout", "60", "--history", "none")
        return self.run_here("--container", IMAGE, "--container-engine", "podman", *slow, *arguments)

    def check_left(self) -> None:
        wait_until(lambda: not containers(), "the end of all containers")

    def test_each_kind_of_trouble_has_its_cause(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import platform
            import socket
            import subprocess
            import time
            import unittest
            from isolatedunit import isolated

            class It(unittest.TestCase):
                def test_pass(self): print("python", platform.python_version())
                def test_fail(self): self.assertEqual(1, 2)
                def test_crash(self): os.abort()
                def test_exit(self): os._exit(3)

                @isolated(process_timeout=1)
                def test_hang(self): time.sleep(600)

                @isolated(leaks="fail")
                def test_daemon(self):
                    if os.fork() == 0:
                        os.setsid()
                        if os.fork() == 0:
                            time.sleep(600)
                        os._exit(0)
                    time.sleep(0.2)

                def test_write_outside(self):
                    with open(__file__, "a"):
                        pass

                def test_write_inside(self):
                    with open("/tmp/mine", "x"):
                        pass

                def test_network(self):
                    socket.create_connection(("198.51.100.1", 9), 5)

                def test_numbers(self): self.assertLess(os.getppid(), 1000)
            """,
        )
        completed = self.run_in_containers("--parallel-by", "test", "-j", "2")
        tests = {name.rpartition(".test_")[2]: test for name, test in completed.tests().items()}
        self.assertEqual(
            {name: (test["outcome"], test["cause"]) for name, test in tests.items()},
            {
                "pass": ("passed", None),
                "fail": ("failed", None),
                "crash": ("error", "crash"),
                "exit": ("error", "crash"),
                "hang": ("error", "timeout"),
                "daemon": ("failed", "leak"),
                "write_outside": ("error", None),
                "write_inside": ("passed", None),
                "network": ("error", None),
                "numbers": ("passed", None),
            },
        )
        self.assertIn("Read-only file system", tests["write_outside"]["message"])
        self.assertIn("Network is unreachable", tests["network"]["message"])
        self.assertEqual(tests["pass"]["attempts"][0]["start_method"], "containers")
        self.assertNotIn(f"python {platform.python_version()}\n", tests["pass"]["stdout"])
        self.check_left()

    def test_too_much_memory_and_too_many_processes(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import time
            import unittest

            class It(unittest.TestCase):
                def test_memory(self):
                    self.all = bytearray(600 * 1024 * 1024)

                def test_processes(self):
                    for _ in range(200):
                        if os.fork() == 0:
                            time.sleep(600)
                    time.sleep(600)

                def test_then(self): pass
            """,
        )
        limits = ("--memory-limit", "200M", "--max-processes", "8", "--process-timeout", "60")
        tests = self.run_in_containers(*limits, "-j", "1").tests()
        self.assertEqual(tests["test_it.It.test_memory"]["cause"], "memory")
        self.assertEqual(tests["test_it.It.test_then"]["outcome"], "passed")
        self.assertNotEqual(tests["test_it.It.test_processes"]["outcome"], "passed")
        self.check_left()

    def test_a_container_for_each_process(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                def test_one(self): open("/tmp/here", "x").close()
                def test_two(self): open("/tmp/here", "x").close()
            """,
        )
        outcomes = self.run_in_containers("--container-per", "test", "-j", "1").outcomes()
        self.assertEqual(set(outcomes.values()), {"passed"})
        self.check_left()

    def test_a_killed_runner_leaves_no_container(self) -> None:
        self.write(
            "test_it.py",
            """
            import time
            import unittest

            class It(unittest.TestCase):
                def test(self): time.sleep(600)
            """,
        )
        process: subprocess.Popen[Any] = self.start_here("--container", IMAGE, "--history", "none")
        wait_until(containers, "a container")
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.check_left()

    def test_an_image_that_is_not_there_gets_one_sentence(self) -> None:
        self.write("test_it.py", "import unittest\n")
        completed = self.run_here("--container", "localhost/nobody:has-it", "--history", "none")
        self.assertEqual(completed.exit_code, 2)
        self.assertIn("podman has no image 'localhost/nobody:has-it'", completed.output)
        self.assertNotIn("Traceback", completed.output)
