"""Run fixtures: without these tests, a run could set up twice or leave a server running, and tests could miss it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import unittest
from contextlib import suppress

from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import wait_until

FIXTURES = """
    import os, subprocess, sys, time

    slot = os.environ.get("ISOLATEDUNIT_SLOT", "run")

    def note(text):
        with open("log", "a") as log:
            log.write(f"{text} {slot}\\n")

    def start():
        global server
        note("start")
        server = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        with open("server", "w") as file:
            file.write(str(server.pid))
        return {"SERVER": str(server.pid)}

    def start_slot():
        note("start")
        return {"DATABASE": f"{slot} of {os.environ['SERVER']}", "DATABASE_PASSWORD": f"secret of slot {slot}"}

    def stop():
        note("stop")

    def wait():
        note("wait")
        try:
            time.sleep(600)
        finally:
            note("cleaned")

    def fail():
        print("what it printed")
        raise RuntimeError("no server")

    def number():
        return {"PORT": 5432}
    """

MODULE = """
    import os, unittest

    server = os.environ["SERVER"]  # a module may want it, too

    class T(unittest.TestCase):
        def test_a(self):
            print(os.environ["DATABASE_PASSWORD"])
            self.assertEqual(os.environ["DATABASE"], f"{os.environ['ISOLATEDUNIT_SLOT']} of {server}")

        test_b = test_a
    """

LASTING = """
    import time, unittest

    class T(unittest.TestCase):
        def test_a(self):
            with open("log", "a") as log:
                log.write("test 1\\n")
            time.sleep(600)
    """

ALL = (
    "--setup",
    "env:start",
    "--teardown",
    "env:stop",
    "--slot-setup",
    "env:start_slot",
    "--slot-teardown",
    "env:stop",
)
WHOLE = ["start run", "start 1", "stop 1", "stop run"]


class FixturesTestCase(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("env.py", FIXTURES)
        self.write("test_it.py", MODULE)

    def log(self) -> list[str]:
        path = os.path.join(self.directory, "log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()

    def assert_server_is_gone(self) -> None:
        with open(os.path.join(self.directory, "server"), encoding="utf-8") as file:
            server = int(file.read())

        def is_gone() -> bool:
            try:
                os.kill(server, 0)
            except OSError:
                return True
            return False

        if os.name == "posix":
            wait_until(is_gone, "the end of what setup has started")

    def forget_log(self) -> None:
        os.unlink(os.path.join(self.directory, "log"))


class RunFixturesTest(FixturesTestCase):
    def test_once_for_the_run_and_once_for_each_slot(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                done = self.run_here(
                    "test_it", *ALL, "-j", "2", "--parallel-by", "test", "--leaks", "fail", "--start-method", method
                )
                self.assertEqual({test["outcome"] for test in done.tests().values()}, {"passed"}, done.output)
                shown = {test["stdout"] for test in done.tests().values()}
                self.assertEqual(shown, {"(hidden: DATABASE_PASSWORD)\n"}, "a report shows no secret")
                log = self.log()
                self.assertEqual([log[0], log[-1]], ["start run", "stop run"])
                self.assertEqual(sorted(log[1:3]), ["start 1", "start 2"])
                self.assertEqual(sorted(log[3:-1]), ["stop 1", "stop 2"])
                self.assert_server_is_gone()
                self.forget_log()

    def test_only_as_many_slots_as_tests_and_options_from_a_file(self) -> None:
        lines = [f'{ALL[at][2:].replace("-", "_")} = "{ALL[at + 1]}"' for at in range(0, len(ALL), 2)]
        self.write("pyproject.toml", "\n".join(["[tool.isolatedunit]", *lines]))
        self.assertEqual(self.run_here("test_it.T.test_a", "-j", "4").exit_code, 0)
        self.assertEqual(self.log(), WHOLE)
        self.run_here("list", "test_it", report=False)
        self.assertEqual(self.log(), WHOLE, "listing tests sets up nothing")

    def test_what_fails_is_a_sentence(self) -> None:
        for name, sentence in (
            ("env:fail", "setup: 'env:fail' failed: RuntimeError: no server\nwhat it printed\nTraceback"),
            ("env:strat", "setup: 'env:strat' failed: 'env' has no 'strat'; did you mean 'start'?"),
            ("nowhere:start", "setup: 'nowhere:start' failed: there is no module 'nowhere'"),
            ("env:number", "setup: 'env:number' failed: it returned 'PORT': 5432; return strings"),
            ("env", "--setup: invalid value 'env'; expected a function, as MODULE:FUNCTION, or none."),
        ):
            with self.subTest(name):
                done = self.run_here("test_it", "--setup", name, "--teardown", "env:stop", report=False)
                self.assertEqual(done.exit_code, 2)
                self.assertIn(sentence, done.output)
                self.assertEqual(self.log(), [], "what was not set up is not torn down")

    def test_a_slot_that_fails_has_the_run_torn_down(self) -> None:
        done = self.run_here("test_it", *ALL[:4], "--slot-setup", "env:fail", report=False)
        self.assertEqual(done.exit_code, 2)
        self.assertIn("slot_setup: 'env:fail' failed: RuntimeError: no server", done.output)
        self.assertEqual(self.log(), ["start run", "stop run"])

    def test_a_teardown_that_fails_is_an_error_of_the_run(self) -> None:
        done = self.run_here("test_it", *ALL, "--teardown", "env:fail")
        self.assertEqual(done.exit_code, 1)
        failed = done.tests()["teardown (env:fail)"]
        self.assertEqual(failed["outcome"], "error")
        self.assertIn("what it printed", failed["traceback"])
        self.assertIn("in fail\n", failed["traceback"])
        self.assertNotIn("run_fixture.py", failed["traceback"])

    def test_one_that_hangs(self) -> None:
        done = self.run_here("test_it", "--setup", "env:wait", "--process-timeout", "0.5", report=False)
        self.assertEqual(done.exit_code, 2)
        self.assertIn("setup: 'env:wait' took longer than 0.5 s", done.output)
        self.assertIn("in wait\n", done.output)

    @unittest.skipUnless(hasattr(os, "fork"), "needs processes that are forked")
    def test_one_that_is_killed_when_it_has_forked(self) -> None:
        self.write(
            "forks.py",
            """
            import os, signal, time

            def start():
                child = os.fork()
                if not child:
                    time.sleep(600)  # and holds all that its parent had open
                with open("child", "w") as file:
                    file.write(str(child))
                os.kill(os.getpid(), signal.SIGKILL)
            """,
        )
        done = self.run_here("test_it", "--setup", "forks:start", report=False)
        with open(os.path.join(self.directory, "child"), encoding="utf-8") as file:
            child = int(file.read())
        if sys.platform == "linux":
            with self.assertRaises(ProcessLookupError):
                os.kill(child, 0)
        else:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.assertEqual(done.exit_code, 2, done.output)
        self.assertIn("setup: 'forks:start' failed: its process ended with exit code -9.", done.output)

    @unittest.skipUnless(sys.platform == "linux", "needs a system that tells who has orphaned a process")
    def test_one_that_is_killed_later_leaves_nothing_whichever_of_its_processes_it_is(self) -> None:
        self.write(
            "killed.py",
            """
            import os, signal, subprocess, sys

            def start():
                sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
                started = subprocess.Popen(sleep, start_new_session=True)
                with open("server", "w") as file:
                    file.write(str(started.pid))
                return {"ITSELF": str(os.getpid()), "KEEPER": str(os.getppid())}
            """,
        )
        for which in ("ITSELF", "KEEPER"):
            with self.subTest(which):
                self.write(
                    "test_killing.py",
                    f"""
                    import os, signal, unittest

                    class T(unittest.TestCase):
                        def test_a(self):
                            os.kill(int(os.environ[{which!r}]), signal.SIGKILL)
                    """,
                )
                done = self.run_here("test_killing", "--setup", "killed:start", report=False)
                self.assertIn("1 passed", done.output)
                self.assert_server_is_gone()

    def test_a_case_that_isolates_itself(self) -> None:
        self.write("setup.cfg", "[isolatedunit]\n" + "\n".join(f"{ALL[at][2:]} = {ALL[at + 1]}" for at in (0, 2)))
        self.write(
            "test_self.py",
            """
            import os
            from isolatedunit import IsolatedTestCase

            class T(IsolatedTestCase):
                def test_a(self):
                    self.assertIn("SERVER", os.environ)

                test_b = test_a
            """,
        )
        done = run_python("-m", "unittest", "test_self", cwd=self.directory)
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertEqual(self.log(), ["start run", "stop run"])


@unittest.skipUnless(os.name == "posix", "there are no such signals")
class EndedRunnerTest(FixturesTestCase):
    """However the runner ends, everything is torn down: by itself, or by those who notice that it is gone."""

    def end_by(self, number: int, line: str, *options: str) -> int:
        """Start a run, and end it with a signal once its log has this line; returns its exit code."""
        self.write("test_it.py", LASTING)
        runner = self.start_here("test_it", *ALL, *options, stdout=subprocess.DEVNULL)
        wait_until(lambda: line in self.log(), line)
        runner.send_signal(number)
        return runner.wait()

    def test_killed(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                self.end_by(signal.SIGKILL, "test 1", "--start-method", method)
                wait_until(lambda: self.log()[-1] == "stop run", "the end of it all")
                self.assertEqual(self.log(), [*WHOLE[:2], "test 1", *WHOLE[2:]])
                self.assert_server_is_gone()
                self.forget_log()

    def test_interrupted(self) -> None:
        self.assertEqual(self.end_by(signal.SIGINT, "test 1"), 130)
        self.assertEqual(self.log(), [*WHOLE[:2], "test 1", *WHOLE[2:]])

    def test_interrupted_while_it_sets_up(self) -> None:
        self.assertEqual(self.end_by(signal.SIGINT, "wait run", "--setup", "env:wait"), 130)
        self.assertEqual(self.log(), ["wait run", "cleaned run"])

    @unittest.skipUnless(os.name == "posix", "needs signals")
    def test_an_interrupt_when_it_is_set_up(self) -> None:
        order = {
            "path": [self.directory, *sys.path],
            "held": [],
            "timeout": 60,
            "setup": {"option": "setup", "name": "env:start"},
            "teardown": {"option": "teardown", "name": "env:stop"},
        }
        process = subprocess.Popen(
            [sys.executable, "-c", "from isolatedunit.child.run_fixture import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.directory,
            env=environment(),
            text=True,
        )
        with process:
            assert process.stdin is not None and process.stdout is not None
            print(json.dumps(order), file=process.stdin, flush=True)
            self.assertIn("environment", json.loads(process.stdout.readline()))
            process.send_signal(signal.SIGINT)  # which was meant for the function, and comes too late
            print(file=process.stdin, flush=True)
            self.assertEqual(json.loads(process.stdout.readline()), {})
        self.assertEqual(self.log(), ["start run", "stop run"])
        self.assert_server_is_gone()


if __name__ == "__main__":
    unittest.main()
