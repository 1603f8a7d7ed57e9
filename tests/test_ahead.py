"""Interpreters that are started ahead: when they are, what they are given, and that none is left."""

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
from calling import Listener
from running import ProjectTestCase, environment, processes_of_run, wait_until

from isolatedunit import IsolatedTestRunner
from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import Setting
from isolatedunit.backends.interpreter import IS_LEAN
from isolatedunit.backends.spawn.idle_pool import IdlePool, Interpreter
from isolatedunit.backends.spawn.orphan_reaper import OrphanReaper
from isolatedunit.engine.prespawn import Prespawner
from isolatedunit.engine.scheduling.idle_forecast import LONGEST_PAUSE, LOOK_INTERVAL, IdleForecast, Idleness
from isolatedunit.errors import SpawnError
from isolatedunit.model.events import AttemptStarted, Event
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.moments import NEVER
from isolatedunit.system.cgroups import processor_quota
from isolatedunit.system.processes import RUN_VARIABLE
from isolatedunit.system.usage import Processors, inherited

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

needs_lean = unittest.skipUnless(IS_LEAN, "interpreters are started ahead where there is os.posix_spawn")


class ForesightTest(unittest.TestCase):
    """Two looks, a moment apart: so much of the time between them was idle, and so much was the run's own."""

    def setUp(self) -> None:
        self.now = 100.0
        self.idle = self.own = 0.0

    def judge(
        self, forecast: IdleForecast, idle: float, own: float = 0.0, missing: int = 10, after: float = 0.0
    ) -> int:
        """What comes of a look at the next time for one, or *after* so many seconds, when so many idled."""
        elapsed = after or LOOK_INTERVAL
        self.now += elapsed
        self.idle, self.own = self.idle + idle * elapsed, self.own + own * elapsed
        return forecast.judge(self.now, Idleness(self.idle, self.own), missing)

    def test_the_first_look_tells_nothing(self) -> None:
        forecast = IdleForecast(2.0)
        self.assertEqual(forecast.next_look, -NEVER)
        self.assertEqual(self.judge(forecast, idle=2.0), 0)
        self.assertAlmostEqual(forecast.next_look, self.now + LOOK_INTERVAL)

    def test_one_for_each_processor_that_idles(self) -> None:
        for idle, count in ((0.0, 0), (0.5, 0), (0.7, 0), (0.8, 1), (1.6, 1), (1.8, 2), (7.9, 8)):
            with self.subTest(idle=idle):
                forecast = IdleForecast(8.0)
                self.judge(forecast, idle)
                self.assertEqual(self.judge(forecast, idle), count)

    def test_no_more_than_are_missing(self) -> None:
        forecast = IdleForecast(8.0)
        self.judge(forecast, 8.0)
        self.assertEqual(self.judge(forecast, 8.0, missing=3), 3)

    def test_the_run_keeps_to_its_share(self) -> None:
        for own, count in ((0.0, 2), (0.9, 1), (1.3, 0), (2.0, 0), (3.0, 0)):
            with self.subTest(own=own):
                forecast = IdleForecast(2.0)
                self.judge(forecast, 8.0 - own, own)
                self.assertEqual(self.judge(forecast, 8.0 - own, own), count)

    def test_looks_that_lead_to_nothing_become_rare(self) -> None:
        forecast = IdleForecast(2.0)
        pauses = []
        for _ in range(8):
            self.judge(forecast, 0.0)
            self.judge(forecast, 0.0)
            pauses.append(round(forecast.next_look - self.now, 6))
            self.now = forecast.next_look
        self.assertEqual(pauses, sorted(pauses))
        self.assertEqual((pauses[0], pauses[1], pauses[-1]), (LOOK_INTERVAL, LOOK_INTERVAL * 2, LONGEST_PAUSE))
        self.judge(forecast, 2.0)
        self.assertEqual(self.judge(forecast, 2.0), 2)
        self.assertEqual(self.judge(forecast, 0.0), 0)
        self.assertAlmostEqual(forecast.next_look - self.now, LOOK_INTERVAL)

    def test_what_was_long_ago_tells_nothing_of_now(self) -> None:
        forecast = IdleForecast(2.0)
        self.judge(forecast, 2.0)
        self.assertEqual(self.judge(forecast, 2.0, after=10.0), 0)
        self.assertEqual(self.judge(forecast, 2.0), 2)
        self.now -= LOOK_INTERVAL  # no time at all
        self.assertEqual(self.judge(forecast, 2.0), 0)


class Waiting:
    """Counts, in place of a backend."""

    def __init__(self, idleness: Idleness | None = None) -> None:
        self.idleness = idleness
        self.count = self.looks = self.ended = 0

    def look(self) -> Idleness | None:
        self.looks += 1
        return self.idleness

    def start(self) -> None:
        self.count += 1

    def end(self) -> None:
        self.ended += self.count
        self.count = 0


def _all_idle(_now: float, _idleness: Idleness, missing: int) -> int:
    """In place of `Foresight.judge`: the processors have nothing to do, whatever else this machine does now."""
    return missing


class AheadTest(unittest.TestCase):
    def make(self, waiting: Waiting, judge: Any = None) -> Prespawner:
        forecast = IdleForecast(4.0)
        if judge is not None:
            forecast.judge = judge  # type: ignore[method-assign]
        return Prespawner(forecast, waiting.look, waiting.start, lambda: waiting.count, waiting.end)

    def test_as_many_wait_as_can_have_work_next(self) -> None:
        for running, unbegun, count in ((4, 100, 4), (4, 2, 2), (1, 1, 1), (0, 5, 0)):
            with self.subTest(running=running, unbegun=unbegun):
                waiting = Waiting(Idleness(0.0))
                ahead = self.make(waiting, _all_idle)
                ahead.turn(0.0, running, unbegun)
                self.assertEqual(waiting.count, count)
                self.assertEqual(ahead.turn(1.0, running, unbegun), NEVER)
                self.assertEqual(waiting.count, count)

    def test_it_looks_when_the_time_has_come(self) -> None:
        waiting = Waiting(Idleness(0.0))
        ahead = self.make(waiting)
        again = ahead.turn(5.0, 2, 2)
        self.assertAlmostEqual(again, 5.0 + LOOK_INTERVAL)
        self.assertEqual(ahead.turn(5.0 + LOOK_INTERVAL / 2, 2, 2), again)
        self.assertEqual(waiting.looks, 1)
        waiting.idleness = Idleness(4.0 * LOOK_INTERVAL)
        ahead.turn(again, 2, 2)
        self.assertEqual((waiting.looks, waiting.count), (2, 2))

    def test_nobody_waits_when_nothing_is_to_come(self) -> None:
        waiting = Waiting(Idleness(0.0))
        ahead = self.make(waiting, _all_idle)
        ahead.turn(0.0, 3, 3)
        self.assertEqual(ahead.turn(1.0, 3, 0), NEVER)
        self.assertEqual((waiting.count, waiting.ended), (0, 3))

    def test_who_cannot_look_does_not_try_again(self) -> None:
        waiting = Waiting(None)
        ahead = self.make(waiting)
        for _ in range(3):
            self.assertEqual(ahead.turn(0.0, 2, 2), NEVER)
        self.assertEqual((waiting.looks, waiting.count), (1, 0))


class ProcessorsTest(ProjectTestCase):
    """How many there are, as control groups have it, on a tree of files that looks like the kernel's."""

    def quota(self, mount: str, own: str) -> float | None:
        mounts = self.write("mounts", f"proc /proc proc rw 0 0\n{mount}\n")
        return processor_quota(mounts, self.write("own", own))

    def test_version_2(self) -> None:
        mount = f"x {self.directory}/fs cgroup2 rw 0 0"
        self.write("fs/a/b/cpu.max", "max 100000\n")
        self.assertIsNone(self.quota(mount, "0::/a/b\n"))
        self.write("fs/a/cpu.max", "150000 100000\n")
        self.assertEqual(self.quota(mount, "0::/a/b\n"), 1.5)
        self.write("fs/a/b/cpu.max", "50000 100000\n")
        self.assertEqual(self.quota(mount, "0::/a/b\n"), 0.5)

    def test_version_1(self) -> None:
        mount = f"x {self.directory}/fs cgroup rw,cpu,cpuacct 0 0"
        self.write("fs/cpu.cfs_quota_us", "-1\n")
        self.write("fs/cpu.cfs_period_us", "100000\n")
        self.assertIsNone(self.quota(mount, "4:cpu,cpuacct:/docker/x\n"))
        self.write("fs/cpu.cfs_quota_us", "200000\n")
        self.assertEqual(self.quota(mount, "4:cpu,cpuacct:/docker/x\n"), 2.0)
        self.assertIsNone(self.quota(f"x {self.directory}/fs cgroup rw,memory 0 0", "4:memory:/\n"))

    def test_none(self) -> None:
        self.assertIsNone(processor_quota("/nowhere", "/nowhere"))

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
class ReserveTest(ProjectTestCase):
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
            self.assertTrue(self.reserve.knows(process_id))  # so that nobody takes it for a leftover of a test
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


class InheritedTest(unittest.TestCase):
    @unittest.skipUnless(sys.platform == "linux", "signals are compared there")
    def test_the_signals_of_the_c_library_are_nobodys(self) -> None:
        for before, after, same in (
            (b"SigIgn:\t0000000181001000\n", b"SigIgn:\t0000000081001000\n", True),
            (b"SigIgn:\t0000000181001000\n", b"SigIgn:\t0000000181001200\n", False),
        ):
            told = []
            for line in (before, after):
                with mock.patch("builtins.open", return_value=io.BytesIO(line)):
                    told.append(inherited())
            self.assertEqual(told[0] == told[1], same)


class Handed:
    """Has processes started ahead all the time, and keeps the ids of those that were given work."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.process_ids: list[int] = []
        take = IdlePool.take

        def note(reserve: IdlePool) -> Interpreter | None:
            interpreter = take(reserve)
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
        heard = Listener()
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
        take, killed = IdlePool.take, []

        def kill_some(reserve: IdlePool) -> Interpreter | None:
            interpreter = take(reserve)
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
        self.write_tests(5)
        for isolation in ("none", "module", "class"):
            with self.subTest(isolation):
                reports = self.run_all(isolation=isolation, max_concurrent_processes=2)
                self.assertEqual({report.outcome for report in reports.values()}, {"passed"})
                self.assertEqual(len(reports), 5)

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
        code = process.wait(60.0)
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


if __name__ == "__main__":
    unittest.main()
