"""Tests that harm their runner: without these tests, one could stop it, starve it or outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import unittest

import psutil

from isolatedunit.system import processes
from isolatedunit.system.tempdir import PREFIX
from tests.support.command_line import environment
from tests.support.processes import processes_of_run
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import wait_until

OUTPUT = """
    import os, shutil, tempfile, unittest

    class Output(unittest.TestCase):
        def test_1_removes_it(self):
            print("lost")
            {remove}

        def test_2_comes_next(self):
            print("kept")
            self.fail()

        def test_3_has_no_channel(self):
            os.closerange(3, 4096)
    """


TRACED = """
    import ctypes, os, signal, unittest

    class Traced(unittest.TestCase):
        def setUp(self):
            ctypes.CDLL(None).ptrace(0, 0, 0, 0)

        def test_passes(self):
            signal.signal(signal.SIGUSR1, lambda *_: None)
            os.kill(os.getpid(), signal.SIGUSR1)

        def test_is_killed(self):
            os.kill(os.getpid(), signal.SIGUSR1)

        def test_is_another_program(self):
            os.execv("/bin/sh", ["sh", "-c", "exit 3"])
    """


HIDING = """
    import os, unittest

    class Hiding(unittest.TestCase):
        def test_hides(self):
            if not os.fork():
                os.setsid()
                if os.fork():
                    os._exit(0)
                os.execve("/bin/sh", ["sh", "-c", "sleep {length}; true"], {{}})
            os.wait()

        def test_meanwhile(self):
            pass
    """


HANGS = """
    import os, subprocess, time, unittest

    class Hangs(unittest.TestCase):
        def test_hangs(self):
            subprocess.Popen(["sleep", "1000"], start_new_session=True)
            os.open("running" + os.environ["_ISOLATEDUNIT_RUN"].split()[-1].partition("/")[0], os.O_CREAT)
            time.sleep(1000)
    """


@unittest.skipUnless(sys.platform == "linux", "elsewhere these cannot be done")
class HarmTest(ProjectTestCase):
    def test_what_a_test_removes_costs_the_next_one_nothing(self) -> None:
        scratch = os.path.join(self.directory, "scratch")
        os.mkdir(scratch)
        for what, remove in (
            ("its file", 'os.unlink(os.readlink("/proc/self/fd/1"))'),
            ("all that is temporary", "[shutil.rmtree(one) for one in os.scandir(tempfile.gettempdir())]"),
        ):
            self.write("test_output.py", OUTPUT.format(remove=remove))
            # the place of all that is temporary is the runner's, whatever the processes are
            for method in START_METHODS if what == "its file" else START_METHODS[-1:]:
                with self.subTest(what, method=method):
                    ended = self.run_here("-j", "1", "--start-method", method, env=environment(TMPDIR=scratch))
                    tests = {test_id.rpartition(".")[2]: one for test_id, one in ended.tests().items()}
                    self.assertEqual(tests["test_1_removes_it"]["outcome"], "passed")
                    self.assertEqual(tests["test_2_comes_next"]["stdout"], "kept\n")
                    self.assertEqual(tests["test_3_has_no_channel"]["outcome"], "passed")
                    self.assertEqual("it has been created again" in ended.output, what != "its file")
                    self.assertEqual(os.listdir(scratch), [])

    def test_one_that_has_itself_traced_goes_on(self) -> None:
        self.write("test_traced.py", TRACED)
        for method in START_METHODS:
            with self.subTest(method):
                tests = self.run_here("--start-method", method).tests()
                told = {
                    test_id.rpartition(".")[2]: (one["cause"], one["attempts"][0]["signal"])
                    for test_id, one in tests.items()
                }
                expected = {
                    "passes": (None, None),
                    "is_killed": ("crash", "SIGUSR1"),
                    "is_another_program": ("crash", None),
                }
                self.assertEqual(told, {f"test_{name}": one for name, one in expected.items()})

    def test_a_process_that_hides_is_ended_too(self) -> None:
        length = 100_000 + int.from_bytes(os.urandom(2), "big")
        self.write("test_hiding.py", HIDING.format(length=length))
        for method in START_METHODS:
            # it is the runner that finds it where no template does, whatever else runs
            for jobs in ("2",) if method == "spawn" else ("1", "2"):
                with self.subTest(method, jobs=jobs):
                    ended = self.run_here("--start-method", method, "-j", jobs, "--parallel-by", "test")
                    self.assertEqual(ended.exit_code, 0, ended.output)
                    self.assertRegex(ended.output, rf"left (a process )?behind[,:].* sh -c sleep {length}")
                    alive = [one for one in psutil.process_iter(["cmdline"]) if str(length) in str(one.info["cmdline"])]
                    self.assertEqual(alive, [])

    def test_a_test_that_did_not_end_has_taken_its_time(self) -> None:
        self.write("test_hangs.py", HANGS)
        # of the test alone: a busy machine may take longer to list it
        self.write("setup.cfg", "[isolatedunit.overrides.hangs]\ntests = *.test_hangs\nprocess_timeout = 0.3\n")
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("--start-method", method)
                (test,) = ended.tests().values()
                self.assertEqual(test["cause"], "timeout")
                self.assertGreater(test["duration"], 0.0)
                self.assertLessEqual(test["duration"], test["attempts"][0]["duration"])

    def kill_with_runner(self, depth: int) -> str:
        """Start a forked test that hangs, and kill the runner with what is so many generations below it; gives the
        run's id."""
        self.write("test_hangs.py", HANGS)
        runner = self.start_here(
            "--start-method",
            "forkserver",
            "--history",
            "none",
            env=environment(TMPDIR=self.directory),
            stdout=subprocess.DEVNULL,
        )
        found = wait_until(
            lambda: [name for name in os.listdir(self.directory) if name.startswith("running")], "the test to run"
        )
        victims = generation = [psutil.Process(runner.pid)]
        for _ in range(depth):
            generation = [child for one in generation for child in one.children()]
            victims = [*victims, *generation]
        for signal_number in (signal.SIGSTOP, signal.SIGKILL):
            for victim in victims:
                victim.send_signal(signal_number)
        runner.wait()
        return str(found[0]).removeprefix("running")

    @unittest.skipUnless("forkserver" in START_METHODS, "this system cannot fork")
    def test_runner_and_base_template_killed_at_once(self) -> None:
        run = self.kill_with_runner(1)
        wait_until(lambda: not processes_of_run(run), "the run's processes to end")

    @unittest.skipUnless("forkserver" in START_METHODS, "this system cannot fork")
    def test_runner_and_all_templates_killed_at_once(self) -> None:
        run = self.kill_with_runner(2)
        left = wait_until(
            lambda: [found for found in [processes_of_run(run)] if all(one.name() == "sleep" for one in found)],
            "the test's own process to end",
        )[0]
        self.assertEqual(len(left), 1)
        self.write("test_hangs.py", "import unittest\nclass Next(unittest.TestCase):\n    def test(self): pass\n")
        ended = self.run_here(env=environment(TMPDIR=self.directory))
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertEqual(processes_of_run(run), [], "the next run ends what is left")
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith(PREFIX)], [])

    def test_a_process_that_is_no_more_has_ended(self) -> None:
        self.assertFalse(processes.has_ended(os.getpid()))
        child = subprocess.Popen(["true"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assertTrue(processes.has_ended(child.pid))
        child.wait()
        self.assertTrue(processes.has_ended(child.pid))
