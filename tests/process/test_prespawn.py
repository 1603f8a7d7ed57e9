"""Interpreters started ahead: without these tests, they could give tests other limits, or be left behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import unittest
from collections.abc import Sequence
from typing import Any
from unittest import mock

import psutil

from isolatedunit import IsolatedTestRunner
from isolatedunit.backends.lean_start import IS_LEAN
from isolatedunit.backends.spawn.idle_pool import IdlePool, Interpreter
from isolatedunit.engine.scheduling.idle_forecast import IdleForecast, Idleness
from isolatedunit.model.events import AttemptStarted, Event
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.system.processes import RUN_VARIABLE
from isolatedunit.system.usage import Processors
from tests.support.command_line import environment
from tests.support.events import EventRecorder
from tests.support.processes import processes_of_run
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE, wait_until

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


needs_lean = unittest.skipUnless(IS_LEAN, "interpreters are started ahead where there is os.posix_spawn")


def _all_idle(_now: float, _idleness: Idleness, missing: int) -> int:
    """In place of `IdleForecast.judge`: the processors have nothing to do, whatever else this machine does now."""
    return missing


class Handed:
    """Has processes started ahead all the time, and keeps the ids of those that were given work."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.process_ids: list[int] = []
        take = IdlePool.take

        def note(pool: IdlePool) -> Interpreter | None:
            interpreter = take(pool)
            if interpreter is not None:
                self.process_ids.append(interpreter.process_id)
            return interpreter

        for patch in (
            mock.patch.object(IdleForecast, "judge", staticmethod(_all_idle)),
            mock.patch.object(Processors, "idle_time", return_value=0.0),
            mock.patch.object(IdlePool, "take", note),
        ):
            patch.start()
            test.addCleanup(patch.stop)


@needs_lean
class RunTest(ProjectTestCase):
    """Runs whose processes are started ahead come out as any other."""

    def setUp(self) -> None:
        super().setUp()
        self.handed = Handed(self)

    def run_all(self, listeners: Sequence[Any] = (), **options: Any) -> dict[str, Any]:
        """The reports of the tests here, by their methods' names."""
        heard = EventRecorder()
        self.stream = io.StringIO()
        runner = IsolatedTestRunner(
            self.stream, listeners=[*listeners, heard], **{"start_method": "spawn", "history": None, **options}
        )
        before = set(psutil.Process().children())
        runner.run_source({"discover": [self.directory, "test*.py", None]})
        self.assertEqual(set(psutil.Process().children()) - before, set())
        return {event.report.id.rpartition(".")[2]: event.report for event in heard.of(Finished)}

    def assert_handed(self, reports: dict[str, Any], at_least: int) -> None:
        used = {attempt.process_id for report in reports.values() for attempt in report.attempts}
        self.assertGreaterEqual(len(used.intersection(self.handed.process_ids)), at_least)

    def test_limits_and_output_are_those_of_each_test(self) -> None:
        self.write(
            "test_limits.py",
            """
            import os, resource, sys, unittest
            from isolatedunit import isolated

            class Limits(unittest.TestCase):
                def show(self):
                    print(self._testMethodName, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
                    print(os.getsid(0) == os.getpid(), os.getcwd(), file=sys.stderr)

                def test_a(self):
                    self.show()

                @isolated(max_open_files=61)
                def test_b(self):
                    self.show()

                @isolated(max_open_files=62, cpu_limit=1000)
                def test_c(self):
                    self.show()
                    self.assertEqual(resource.getrlimit(resource.RLIMIT_CPU)[0], 1000)

                @isolated(memory_limit="200M")
                def test_d(self):
                    self.show()
                    bytearray(10 ** 9)
            """,
        )
        reports = self.run_all(max_concurrent_processes=1)
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        shown = {name: report.stdout for name, report in reports.items()}
        expected = {"test_a": usual, "test_b": 61, "test_c": 62, "test_d": usual}
        self.assertEqual(shown, {name: f"{name} {limit}\n" for name, limit in expected.items()})
        self.assertEqual({report.stderr for report in reports.values()}, {f"True {os.getcwd()}\n"})
        outcomes = {name: (report.outcome, report.cause) for name, report in reports.items()}
        self.assertEqual(
            outcomes,
            {
                "test_a": ("passed", None),
                "test_b": ("passed", None),
                "test_c": ("passed", None),
                "test_d": ("error", "memory"),
            },
        )
        self.assert_handed(reports, at_least=3)

    def test_a_changed_environment_is_that_of_the_next_test(self) -> None:
        self.write(
            "test_stage.py",
            """
            import os, unittest

            class Stage(unittest.TestCase):
                def test_0(self): print(os.environ["STAGE"])
                def test_1(self): print(os.environ["STAGE"])
                def test_2(self): print(os.environ["STAGE"])
                def test_3(self): print(os.environ["STAGE"])
            """,
        )

        class FixtureScopes:
            """Changes the environment after each test but the second, when the next process is started already."""

            waited = 0

            def handle(self, event: Event) -> None:
                if isinstance(event, Finished) and not event.report.id.endswith("test_1"):
                    os.environ["STAGE"] += "+"

        with mock.patch.dict(os.environ, STAGE="0"):
            reports = self.run_all([FixtureScopes()], max_concurrent_processes=1)
        self.assertEqual([reports[f"test_{number}"].stdout for number in range(4)], ["0\n", "0+\n", "0+\n", "0++\n"])
        by_process = {attempt.process_id: name for name, one in reports.items() for attempt in one.attempts}
        self.assertEqual([by_process.get(one) for one in self.handed.process_ids], ["test_2"])

    def test_one_that_dies_as_it_is_given_work_costs_no_test(self) -> None:
        self.write_tests(6)
        take = IdlePool.take
        killed: list[int] = []

        def kill_some(pool: IdlePool) -> Interpreter | None:
            interpreter = take(pool)
            if interpreter is not None and len(killed) < 3:
                killed.append(interpreter.process_id)
                os.kill(interpreter.process_id, signal.SIGKILL)
                os.waitid(os.P_PID, interpreter.process_id, os.WEXITED | os.WNOWAIT)
            return interpreter

        with mock.patch.object(IdlePool, "take", kill_some):
            reports = self.run_all(max_concurrent_processes=2)
        self.assertEqual(len(killed), 3)
        self.assertEqual({report.outcome for report in reports.values()}, {"passed"})
        self.assertEqual(len(reports), 6)

    def test_those_that_die_while_they_wait_are_replaced(self) -> None:
        self.write_tests(6)

        class Killer:
            """Kills all that wait, whenever a test begins."""

            def __init__(self, handed: Handed) -> None:
                self.handed = handed
                self.killed = 0

            def handle(self, event: Event) -> None:
                if isinstance(event, AttemptStarted) and event.tests:
                    for process in processes_of_run(event.attempt.partition("/")[0] + "/ahead"):
                        if process.pid not in self.handed.process_ids:
                            process.kill()
                            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
                            self.killed += 1

        killer = Killer(self.handed)
        reports = self.run_all([killer], max_concurrent_processes=2)
        self.assertGreater(killer.killed, 0)
        self.assertEqual({report.outcome for report in reports.values()}, {"passed"})
        self.assertEqual(len(reports), 6)

    def test_what_a_test_leaves_running_is_told_of_that_test_and_of_no_other(self) -> None:
        self.write(
            "test_leaves.py",
            """
            import subprocess, unittest

            class Leaves(unittest.TestCase):
                def test_a(self): pass
                def test_b(self): subprocess.Popen(["sleep", "997"], start_new_session=True)
                def test_c(self): pass
                def test_d(self): pass
            """,
        )
        reports = self.run_all(max_concurrent_processes=1)
        told = [line for line in self.stream.getvalue().splitlines() if "left behind" in line]
        self.assertEqual(len(told), 1, told)
        self.assertRegex(told[0], r"Leaves\.test_b left behind: a process, sleep 997 ")
        self.assert_handed(reports, at_least=3)

    def test_in_every_kind_of_isolation(self) -> None:
        self.write_tests(3)
        for isolation in ("none", "module", "class"):
            with self.subTest(isolation):
                reports = self.run_all(isolation=isolation, max_concurrent_processes=2)
                self.assertEqual({report.outcome for report in reports.values()}, {"passed"})
                self.assertEqual(len(reports), 3)

    def test_calls(self) -> None:
        with IsolatedTestRunner(start_method="spawn", max_concurrent_processes=2) as runner:
            futures = [runner.submit(_double, [number]) for number in range(6)]
            results = [future.result(60.0) for future in futures]
        self.assertEqual([result.test_results for result in results], [0, 2, 4, 6, 8, 10])
        used = {result.process_id for result in results}
        self.assertGreaterEqual(len(used.intersection(self.handed.process_ids)), 1)
        self.assertEqual([one for one in self.handed.process_ids if psutil.pid_exists(one)], [])

    def write_tests(self, count: int) -> None:
        for number in range(count):
            self.write(
                f"test_{number}.py", f"import unittest\nclass T(unittest.TestCase):\n def test_{number}(self): pass\n"
            )


def _double(_: Any, number: int) -> int:
    return 2 * number


STARTED_AHEAD = """
    import sys
    from unittest import mock

    from isolatedunit.engine.scheduling.idle_forecast import IdleForecast
    from isolatedunit.cli.main import main
    from isolatedunit.system.usage import Processors

    if __name__ == "__main__":
        Processors.idle_time = lambda self: 0.0
        IdleForecast.judge = lambda self, now, idleness, missing: missing
        sys.exit(main())
    """
"""``python -m isolatedunit`` on a machine with nothing else to do."""


@needs_lean
class EndTest(ProjectTestCase):
    """However a run ends, none waits any more."""

    def end_with(self, number: int) -> int:
        self.write(
            "test_hanging.py",
            """
            import os, time, unittest

            class Hanging(unittest.TestCase):
                def test_a(self):
                    with open("running.tmp", "w") as file:
                        file.write(os.environ["_ISOLATEDUNIT_RUN"])
                    os.rename("running.tmp", "running")
                    time.sleep(1000)

                def test_b(self):
                    pass
            """,
        )
        running = os.path.join(self.directory, "running")
        process = subprocess.Popen(
            [sys.executable, self.write("start.py", STARTED_AHEAD), "test_hanging", "--start-method", "spawn"],
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.kill)
        wait_until(lambda: os.path.exists(running) or process.poll() is not None, "the test to hang")
        with open(running, encoding="ascii") as file:
            run_id = file.read().split()[-1].partition("/")[0]
        os.unlink(running)
        wait_until(lambda: waiting_in(run_id), "a process that is started ahead")
        process.send_signal(number)
        code = process.wait(PATIENCE)
        wait_until(lambda: not processes_of_run(run_id), "the run's processes to be gone")
        return code

    def test_ctrl_c(self) -> None:
        self.assertEqual(self.end_with(signal.SIGINT), 130)

    def test_sigterm(self) -> None:
        self.assertNotEqual(self.end_with(signal.SIGTERM), 0)

    def test_sigkill(self) -> None:
        self.assertEqual(self.end_with(signal.SIGKILL), -signal.SIGKILL)


def waiting_in(run_id: str) -> list[psutil.Process]:
    """The run's processes that were started ahead, and were not given the test that hangs."""
    return [one for one in processes_of_run(run_id) if f" {run_id}/ahead#" in one.environ().get(RUN_VARIABLE, "")]
