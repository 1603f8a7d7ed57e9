"""Lookahead in templates: without these tests, a process ordered ahead could be lost, or outlive its run."""

from __future__ import annotations

import os
import signal
import sys
import time
import unittest
from typing import Any
from unittest import mock

from multiprocess.connection import wait

from isolatedunit.backends.contract import Child, ChildSpec, Setting
from isolatedunit.backends.registry import open_backend
from isolatedunit.config.options import Options
from isolatedunit.engine.launch import Launcher
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.engine.scheduling.shared_imports import SharedImportsPlan
from isolatedunit.instrumentation.instruments import Measuring
from isolatedunit.protocol.messages import RunTest
from tests.support.command_line import environment, run_isolatedunit
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import PATIENCE, wait_until

MODULE = """
    import os, sys, time, unittest

    HERE = os.path.dirname(os.path.abspath(__file__))

    class T(unittest.TestCase):
        def setUp(self):
            self.append("begun")

        def append(self, name):
            with open(os.path.join(HERE, name), "a") as file:
                file.write(self._testMethodName + "\\n")

        def test_a(self):
            pass

        def test_b(self):
            while not os.path.exists(os.path.join(HERE, "go")):
                time.sleep(0.001)
            if os.path.exists(os.path.join(HERE, "talk")):
                print("b speaks")

        def test_c(self):
            print("c speaks")

        def test_d(self):
            while True:
                time.sleep(0.001)
"""


@unittest.skipUnless("forkserver" in START_METHODS, "needs forks")
class TemplateTest(ProjectTestCase):
    """A template that is ordered to fork directly."""

    def setUp(self) -> None:
        super().setUp()
        self.write("ordered.py", MODULE)
        options = Options()
        self.scratch = os.path.join(self.directory, "scratch")
        os.mkdir(self.scratch)
        launcher = Launcher(
            "run",
            mock.Mock(path=self.scratch),
            LatencyPolicy.of(options),
            SharedImportsPlan(),
            Measuring(options, lambda name: name),
            None,
            lambda: None,
            lambda _: {},
        )
        self.settings = launcher.settings(options, prebuilt=True, receipt=os.path.join(self.scratch, "receipt"))
        setting = Setting(
            "run", self.scratch, 1, True, (self.directory, *sys.path), ("test",), self.directory, lambda _: None
        )
        self.backend: Any = open_backend("forkserver", setting)
        self.addCleanup(self.backend.close)
        # the template has to be there and to have imported the module
        self.wait_for_end(self.backend.spawn(self.spec("a"))).close()

    def spec(self, name: str) -> ChildSpec:
        home = {"module": "ordered"}
        test = {"home": home, "address": {"class": "ordered:T", "method": f"test_{name}"}}
        work = RunTest(attempt=f"run/{name}#1", tests=[test], settings=self.settings)
        return ChildSpec(f"run/{name}#1", work, home=home)

    def read(self, name: str) -> list[str]:
        try:
            with open(os.path.join(self.directory, name), encoding="utf-8") as file:
                return file.read().split()
        except OSError:
            return []

    def wait_for_end(self, child: Child) -> Child:
        deadline = time.monotonic() + PATIENCE
        child.look(time.monotonic())  # what is known without waiting
        while child.status is None:
            self.assertLess(time.monotonic(), deadline, "the child does not end")
            if child.sentinel is not None:
                wait([child.sentinel.reader], 0.1)
            child.look(time.monotonic())
        return child

    def output(self, child: Child) -> str:
        return child.read_output([None])[0][0].stdout

    def test_it_begins_by_itself(self) -> None:
        first = self.backend.spawn(self.spec("b"))
        self.assertTrue(self.backend.order(self.spec("c"), first))
        self.assertEqual(self.backend.pids_with_successor(), [child_of(self.backend)])
        self.assertFalse(self.backend.order(self.spec("d"), first), "one can be ordered at a time")
        wait_until(lambda: "test_b" in self.read("begun"), "the first to begin")
        self.assertNotIn("test_c", self.read("begun"))
        self.write("go", "")
        wait_until(lambda: "test_c" in self.read("begun"), "the one that was ordered")
        self.wait_for_end(first)
        second = self.wait_for_end(self.backend.spawn(self.spec("c")))
        self.assertEqual(self.output(first), "")
        self.assertEqual(self.output(second), "c speaks\n")
        assert first.gone_at is not None and second.gone_at is not None
        self.assertLess(first.gone_at, second.gone_at)
        self.assertEqual(self.read("begun"), ["test_a", "test_b", "test_c"])

    def test_each_has_its_own_output(self) -> None:
        self.write("talk", "")
        self.write("go", "")
        first = self.backend.spawn(self.spec("b"))
        self.assertTrue(self.backend.order(self.spec("c"), first))
        self.wait_for_end(first)
        second = self.wait_for_end(self.backend.spawn(self.spec("c")))
        self.assertEqual([self.output(first), self.output(second)], ["b speaks\n", "c speaks\n"])
        first.close()
        self.assertEqual(self.output(second), "c speaks\n", "the files of the one before are not its")

    def test_one_that_is_not_wanted_does_not_begin(self) -> None:
        first = self.backend.spawn(self.spec("b"))
        self.assertTrue(self.backend.order(self.spec("c"), first))
        self.backend.withdraw(self.spec("c"))
        self.write("go", "")
        self.wait_for_end(first)
        third = self.wait_for_end(self.backend.spawn(self.spec("a")))
        assert third.status is not None
        self.assertEqual(third.status.exit_code, 0)
        self.assertEqual(self.read("begun"), ["test_a", "test_b", "test_a"])

    def test_one_that_is_not_wanted_and_has_begun_is_ended(self) -> None:
        first = self.backend.spawn(self.spec("b"))
        self.assertTrue(self.backend.order(self.spec("d"), first))
        self.write("go", "")
        wait_until(lambda: "test_d" in self.read("begun"), "the one that was ordered")
        template = child_of(self.backend)
        self.wait_for_end(first)
        self.backend.withdraw(self.spec("d"))
        wait_until(
            lambda: not os.path.exists(f"/proc/{template}") or children(template) == [], "the end of its children"
        )
        self.wait_for_end(self.backend.spawn(self.spec("a")))

    def test_it_is_forked_elsewhere_when_the_template_is_lost_before_it(self) -> None:
        first = self.backend.spawn(self.spec("b"))
        self.assertTrue(self.backend.order(self.spec("c"), first))
        wait_until(lambda: "test_b" in self.read("begun"), "the first to begin")
        os.kill(child_of(self.backend), signal.SIGKILL)
        self.wait_for_end(first)
        second = self.wait_for_end(self.backend.spawn(self.spec("c")))
        assert second.status is not None
        self.assertEqual(second.status.exit_code, 0)
        self.assertEqual(self.read("begun"), ["test_a", "test_b", "test_c"])

    def test_one_that_was_heard_of_does_not_begin_again_when_its_template_is_lost(self) -> None:
        first = self.backend.spawn(self.spec("b"))
        self.assertTrue(self.backend.order(self.spec("d"), first))
        self.write("go", "")
        self.wait_for_end(first)
        second = self.backend.spawn(self.spec("d"))
        wait_until(second.channel.receive, "what it says")
        wait_until(lambda: "test_d" in self.read("begun"), "the one that was ordered")
        second.channel.receive()
        os.kill(child_of(self.backend), signal.SIGKILL)
        self.wait_for_end(second)
        self.assertEqual(self.read("begun"), ["test_a", "test_b", "test_d"])

    def test_a_kill_of_what_is_gone_does_not_meet_what_follows(self) -> None:
        first = self.backend.spawn(self.spec("b"))
        self.assertTrue(self.backend.order(self.spec("d"), first))
        self.write("go", "")
        wait_until(lambda: "test_d" in self.read("begun"), "the one that was ordered")
        for _ in range(3):
            first.kill()
        self.wait_for_end(first)
        second = self.backend.spawn(self.spec("d"))
        second.look(time.monotonic())
        self.assertIsNone(second.status)
        second.process_id = wait_until(second.channel.receive, "what it says")[0].pid
        second.kill()
        self.wait_for_end(second)
        assert first.status is not None and second.status is not None
        self.assertEqual([first.status.exit_code, second.status.signal], [0, "SIGKILL"])


def child_of(backend: Any) -> int:
    """The process id of the backend's only template."""
    templates: list[Any] = [*backend._pool._busy, *backend._pool._idle]
    (template,) = templates
    return int(template.process_id)


def children(process_id: int) -> list[str]:
    try:
        with open(f"/proc/{process_id}/task/{process_id}/children", encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []


SUITE = """
    import os, signal, time, unittest
    from isolatedunit import isolated

    def note(test):
        with open(os.environ["NOTES"], "a") as file:
            file.write(test.id().rpartition(".")[2] + "\\n")

    class T(unittest.TestCase):
        def setUp(self):
            note(self)

        def test_03(self):
            os.kill(os.getppid(), signal.SIGKILL)
            while True:
                time.sleep(1)

        def test_06(self):
            os._exit(0)

        @isolated(process_timeout=1)
        def test_09(self):
            while True:
                time.sleep(1)

        def test_12(self):
            os.abort()

    def speak(number):
        def test(self):
            if number % 2:
                print("it is", number)
            self.assertNotEqual(number, 14)
        return test

    for number in range(18):
        if not hasattr(T, f"test_{number:02}"):
            setattr(T, f"test_{number:02}", speak(number))
"""


class RunTestsTest(ProjectTestCase):
    """Whole runs: each test begins once, and has what is its own."""

    def test_every_test_begins_once_whatever_the_one_before_does(self) -> None:
        for jobs in ("1", "2"):
            with self.subTest(jobs=jobs):
                self.written += 1
                notes = os.path.join(self.directory, f"notes{jobs}")
                self.write("test_them.py", SUITE)
                run = run_isolatedunit(
                    "test_them",
                    *("-j", jobs, "--spawn-timeout", "60"),
                    cwd=self.directory,
                    env=environment(NOTES=notes),
                )
                with open(notes, encoding="utf-8") as file:
                    self.assertEqual(file.read().split(), [f"test_{number:02}" for number in range(18)])
                tests = run.tests()
                causes = {name[-2:]: test["cause"] for name, test in tests.items() if test["cause"]}
                self.assertEqual(causes, {"03": "crash", "06": "crash", "09": "timeout", "12": "crash"})
                failed = [name[-2:] for name, test in tests.items() if test["outcome"] == "failed"]
                self.assertEqual(failed, ["14"])
                for name, test in tests.items():
                    number = int(name[-2:])
                    if number % 2 and number not in (3, 9):
                        self.assertEqual(test["stdout"], f"it is {number}\n")
                    else:
                        self.assertEqual(test["stdout"], "")

    @unittest.skipUnless(hasattr(signal, "SIGINT") and os.name == "posix", "needs signals")
    def test_after_a_ctrl_c_that_lets_tests_finish_none_begins(self) -> None:
        self.write(
            "test_them.py",
            """
            import os, time, unittest

            class T(unittest.TestCase):
                def test_a(self): pass
                def test_b(self):
                    open("b", "w").close()
                    while not os.path.exists("go"):
                        time.sleep(0.001)
                def test_c(self):
                    open("c", "w").close()
            """,
        )
        process = self.start_here("-c", "-v", "-j", "1", "test_them", start_new_session=True)
        wait_until(lambda: os.path.exists(os.path.join(self.directory, "b")), "the test")
        os.kill(process.pid, signal.SIGINT)
        # it says so as soon as it has heard, and the order is withdrawn with that
        assert process.stdout is not None
        output = b""
        while b"interrupted" not in output.lower():
            line = process.stdout.readline()
            self.assertTrue(line, output.decode())
            output += line
        self.write("go", "")
        output += process.stdout.read()
        process.stdout.close()
        process.wait(PATIENCE)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "c")))
        self.assertIn("test_b (test_them.T.test_b) ... ok", output.decode())
