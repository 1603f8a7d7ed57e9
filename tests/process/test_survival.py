"""Survival: without these tests, Ctrl-C, killed templates or silent children could hang a run or leave processes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import unittest
from typing import Any

from isolatedunit import IsolatedTestRunner
from isolatedunit.model.events import (
    ChildStarted,
    ChildUnresponsive,
    Event,
    ResourcesSampled,
    RunCancelled,
    RunStarted,
    Warned,
)
from isolatedunit.model.events import TestSlow as Slow
from tests.support.command_line import run_python
from tests.support.events import EventRecorder
from tests.support.page import Data
from tests.support.processes import processes_of_run
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import PATIENCE, wait_until

HANGING = """
    import os
    import signal
    import subprocess
    import time
    import unittest

    class Hanging(unittest.TestCase):
        def test_hangs(self):
            subprocess.Popen(["sleep", "1000"], start_new_session=True)
            with open("running.tmp", "w") as file:
                file.write(os.environ["_ISOLATEDUNIT_RUN"])
            os.rename("running.tmp", "running")
            {before}
            time.sleep(1000)

        def test_later(self):
            pass
    """


class BusyTest(ProjectTestCase):
    """A machine on which a hundred processes want each processor."""

    def test_a_process_that_is_left_behind_is_told_once(self) -> None:
        self.write(
            "test_it.py",
            """
            import subprocess
            import unittest

            class It(unittest.TestCase):
                def test_it(self):
                    subprocess.Popen(["sleep", "1000"])
            """,
        )
        env = self.environment_under_load(100.0)
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("test_it", "--start-method", method, "--cleanup-timeout", "6", env=env)
                stats = ended.tests()["test_it.It.test_it"]["attempts"][0]["handle_stats"]
                self.assertEqual(stats["by_kind"], {"process": 1}, ended.output)


class SignalTest(ProjectTestCase):
    def start(self, *arguments: str, before: str = "pass") -> subprocess.Popen[bytes]:
        """Start a run, and wait until its test hangs."""
        self.write("test_hanging.py", HANGING.format(before=before))
        running = os.path.join(self.directory, "running")
        if os.path.exists(running):
            os.unlink(running)
        process = self.start_here("test_hanging", "--json", "report.json", *arguments)
        wait_until(lambda: os.path.exists(running) or process.poll() is not None, "the test to hang")
        self.assertIsNone(process.poll())
        with open(running, encoding="ascii") as file:
            self.run_id = file.read().split()[-1].partition("/")[0]
        self.assertGreaterEqual(len(processes_of_run(self.run_id)), 2)
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> str:
        output, _ = process.communicate(timeout=PATIENCE)
        return output.decode()

    def test_ctrl_c_once_ends_what_runs_and_writes_the_report(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                process = self.start("--start-method", method)
                process.send_signal(signal.SIGINT)
                output = self.finish(process)
                self.assertEqual(process.returncode, 130, output)
                self.assertIn("0 passed, 1 failed, 0 skipped", output)
                with open(os.path.join(self.directory, "report.json"), encoding="utf-8") as file:
                    (test,) = json.load(file)["tests"]
                self.assertEqual((test["outcome"], test["cause"]), ("error", "cancelled"))
                self.assertEqual(processes_of_run(self.run_id), [])

    def test_ctrl_c_twice_kills(self) -> None:
        # it takes notice of being asked to end, and no more than that
        before = "signal.signal(signal.SIGTERM, lambda *_: open('asked', 'w').close())"
        process = self.start("--terminate-grace", "1000", before=f"{before}; time.sleep(1000)")
        process.send_signal(signal.SIGINT)
        wait_until(lambda: os.path.exists(os.path.join(self.directory, "asked")), "the first Ctrl-C to arrive")
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        output = self.finish(process)
        self.assertEqual(process.returncode, 130)
        self.assertIn("(interrupt again to kill them)", output)
        self.assertEqual(processes_of_run(self.run_id), [])

    def test_a_killed_runner_leaves_no_process_behind(self) -> None:
        # test_killed_runner has those that block nothing
        before = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"
        for method in START_METHODS:
            with self.subTest(method):
                process = self.start("--start-method", method, before=before)
                process.kill()
                process.wait()
                wait_until(lambda: not processes_of_run(self.run_id), "the processes of the run to end")


class EventsTest(ProjectTestCase):
    def run_source(
        self, *names: str, listener: EventRecorder | None = None, more: Any = None, **options: Any
    ) -> tuple[Any, EventRecorder]:
        listener = listener or EventRecorder()
        before = os.getcwd()
        os.chdir(self.directory)
        sys.path.insert(0, self.directory)
        try:
            runner = IsolatedTestRunner(io.StringIO(), listeners=[listener, *filter(None, [more])], **options)
            return runner.run_source({"names": list(names)}), listener
        finally:
            os.chdir(before)
            sys.path.remove(self.directory)

    def test_a_slow_and_an_unresponsive_child_are_told(self) -> None:
        self.write(
            "test_silent.py",
            """
            import os
            import time
            import unittest

            class Silent(unittest.TestCase):
                def test_holds_the_gil(self):
                    sum(range(10**15))

                def test_sleeps(self):
                    while not os.path.exists(self.id()):
                        time.sleep(0.01)

                def test_computes(self):
                    while not os.path.exists(self.id()):
                        pass
            """,
        )

        class LetsGo(EventRecorder):
            """A test that was reported as slow may end, and the one that holds the GIL is ended when it is silent."""

            directory = self.directory

            def handle(self, event: Event) -> None:
                super().handle(event)
                if isinstance(event, Slow):
                    open(os.path.join(self.directory, event.test), "w").close()
                elif isinstance(event, ChildUnresponsive) and event.test.endswith("test_holds_the_gil"):
                    (started,) = (one for one in self.of(ChildStarted) if one.attempt == event.attempt)
                    os.kill(started.process_id, signal.SIGKILL)

        for method in START_METHODS:
            with self.subTest(method):
                _, listener = self.run_source(
                    "test_silent",
                    listener=LetsGo(),
                    start_method=method,
                    heartbeat_interval=0.1,
                    slow_after=0.2,
                    process_timeout=PATIENCE,
                    parallel_by="test",
                )
                # on a busy machine another one, too, may not be heard of in time
                silent = [event.test.rpartition(".")[2] for event in listener.of(ChildUnresponsive)]
                self.assertEqual(silent.count("test_holds_the_gil"), 1)
                slow = [event.test for event in listener.of(Slow)]  # the module's import may be slow, too
                self.assertEqual(
                    sorted(name.rpartition(".")[2] for name in slow if ".Silent." in name),
                    ["test_computes", "test_holds_the_gil", "test_sleeps"],
                )
                for name in ("test_sleeps", "test_computes"):
                    os.unlink(os.path.join(self.directory, f"test_silent.Silent.{name}"))

    def test_memory_is_sampled_where_it_is_limited(self) -> None:
        self.write(
            "test_big.py",
            """
            import subprocess
            import sys
            import unittest

            class Big(unittest.TestCase):
                def test_child_of_the_test(self):
                    program = "x = bytearray(300 * 2**20); import time; time.sleep(1000)"
                    subprocess.run([sys.executable, "-c", program])
            """,
        )
        result, listener = self.run_source("test_big", memory_limit="200M")
        self.assertIn("bytes of memory; the limit is 209,715,200", result.errors[0][1])
        self.assertGreater(max(event.rss for event in listener.of(ResourcesSampled)), 200 * 2**20)

    def test_memory_is_sampled_for_a_report_that_shows_it(self) -> None:
        self.write(
            "test_long.py",
            """
            import os
            import time
            import unittest

            class Long(unittest.TestCase):
                def test_goes_on(self):
                    while not os.path.exists("go"):
                        time.sleep(0.01)
            """,
        )
        sampled = list[int]()

        def let_go(event: Event) -> None:
            if isinstance(event, ResourcesSampled) and "/collect" not in event.attempt:
                sampled.append(event.rss)
                if len(sampled) == 2:
                    self.write("go", "")

        page = os.path.join(self.directory, "page.html")
        result, _ = self.run_source("test_long", more=let_go, html=page)
        self.assertTrue(result.wasSuccessful(), result.errors)
        with open(page, encoding="utf-8") as file:
            slices = Data(file.read()).document["slices"]
        (samples,) = [one["samples"] for one in slices if one["tests"] == ["test_long.Long.test_goes_on"]]
        self.assertEqual([rss for _, rss in samples], sampled)

    @unittest.skipUnless("forkserver" in START_METHODS, "this system cannot fork")
    def test_a_template_brings_nothing_into_a_test_that_makes_forks_dear(self) -> None:
        self.write(
            "test_lean.py",
            """
            import sys
            import unittest
            import warnings

            DEAR = {"asyncio", "dill", "isolatedunit.runner", "logging", "multiprocess", "multiprocessing", "psutil"}
            DEAR |= {"random", "socket", "threading"}

            class Lean(unittest.TestCase):
                def test_modules(self):
                    self.assertEqual(DEAR & sys.modules.keys(), set())

                def test_rehearsal_left_no_trace(self):
                    self.assertEqual(len(warnings.filters), len(set(map(repr, warnings.filters))))
            """,
        )
        result, _ = self.run_source("test_lean", start_method="forkserver")
        self.assertEqual([text for _, text in result.errors + result.failures], [])
        self.assertEqual(result.testsRun, 2)

    def test_ctypes_brings_no_threading_into_a_template(self) -> None:
        """From Python 3.14 on it imports sysconfig, and that threading; this one does on each Python."""
        self.write("ctypes.py", "import sysconfig as of_system")
        source = (
            "import sys, isolatedunit.child.bootstrap, ctypes; assert ctypes.__file__.startswith(sys.argv[1]), ctypes; "
            "print(*{'sysconfig', 'threading'} & sys.modules.keys()); get_path = ctypes.of_system.get_path; "
            "print(ctypes.of_system.get_python_version(), get_path is sys.modules['sysconfig'].get_path)"
        )
        ended = run_python("-S", "-c", source, self.directory, cwd=self.directory)
        self.assertEqual(ended.output, f"\n{sys.version_info[0]}.{sys.version_info[1]} True\n")

    def test_a_template_that_is_killed_costs_its_test_and_no_other(self) -> None:
        self.write(
            "test_parricide.py",
            """
            import os
            import signal
            import time
            import unittest

            def parent_of(process_id):
                with open(f"/proc/{process_id}/stat") as file:
                    return int(file.read().rpartition(")")[2].split()[1])

            class Parricide(unittest.TestCase):
                def test_a(self):
                    pass

                def test_b_kills_its_template(self):
                    os.kill(os.getppid(), signal.SIGKILL)
                    time.sleep(1000)

                def test_c(self):
                    pass

                def test_d_kills_every_template(self):
                    template = os.getppid()
                    os.kill(parent_of(template), signal.SIGKILL)
                    os.kill(template, signal.SIGKILL)
                    time.sleep(1000)

                def test_e(self):
                    pass
            """,
        )
        self.write(
            "test_other.py",
            "import unittest\n\n\nclass Other(unittest.TestCase):\n    def test_it(self):\n        pass\n",
        )
        result, listener = self.run_source("test_parricide", "test_other", start_method="forkserver")
        self.assertEqual(
            sorted(test.id() for test, _ in result.errors),
            [
                "test_parricide.Parricide.test_b_kills_its_template",
                "test_parricide.Parricide.test_d_kills_every_template",
            ],
        )
        self.assertEqual(result.testsRun, 6)
        (started,) = listener.of(RunStarted)
        self.assertEqual(processes_of_run(started.run), [])

    def test_an_import_that_no_child_can_be_forked_from_is_told_once(self) -> None:
        self.write(
            "test_threaded.py",
            """
            import threading
            import time
            import unittest

            threading.Thread(target=time.sleep, args=(1000,), daemon=True, name="left behind").start()

            class Threaded(unittest.TestCase):
                def test_one(self):
                    pass

                def test_two(self):
                    pass
            """,
        )
        result, listener = self.run_source("test_threaded", start_method="forkserver")
        self.assertTrue(result.wasSuccessful())
        (warning,) = listener.of(Warned)
        self.assertIn("importing test_threaded left a thread running (left behind)", warning.text)

    def test_why_a_run_stops_is_told(self) -> None:
        self.write(
            "test_bad.py",
            """
            import unittest

            class Bad(unittest.TestCase):
                def test_it(self):
                    self.fail()

                def test_later(self):
                    pass
            """,
        )
        _, listener = self.run_source("test_bad", failfast=True)
        (event,) = listener.of(RunCancelled)
        self.assertIn("failfast", event.reason)
