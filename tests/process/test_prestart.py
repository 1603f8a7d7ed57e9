"""The prestarted interpreter: without these tests, a run could lose it, wait for it, or leave it behind."""

from __future__ import annotations

import io
import os
import tempfile
import unittest
from dataclasses import replace

from isolatedunit import CarryError, IsolatedTestRunner
from isolatedunit.backends.forkserver.prestart import Prestart
from isolatedunit.backends.lean_start import IS_LEAN
from isolatedunit.backends.registry import make_prestart, open_backend
from isolatedunit.config.options import Options
from isolatedunit.engine.run import Run
from isolatedunit.model.events import Event, RunFinished, TestFinished
from isolatedunit.system.processes import SIGKILL, has_ended, send_signal
from tests.support.command_line import environment, run_python
from tests.support.events import EventRecorder
from tests.support.processes import processes_of_run
from tests.support.waiting import wait_until

OPTIONS = replace(Options(), start_method="forkserver")


SUITE = """
import unittest
class SomeTest(unittest.TestCase):
    def test_one(self): pass
    def test_two(self): pass
"""


INTERRUPTED_IMPORT = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "isolatedunit.runner":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from isolatedunit.cli.main import main
sys.exit(main(["--start-method", "forkserver", "test_wire"]))
"""


@unittest.skipUnless(IS_LEAN and hasattr(os, "fork"), "no template is started here")
class PrestartedRunTest(unittest.TestCase):
    def setUp(self) -> None:
        self.prestarted = Prestart()
        self.addCleanup(self.prestarted.close)

    def run_it(self) -> list[Event]:
        heard = EventRecorder()
        run = Run(OPTIONS, [heard], open_backend, prestarted=self.prestarted)
        self.assertEqual(run.id, self.prestarted.run)
        try:
            with tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, "test_some.py"), "w", encoding="utf-8") as file:
                    file.write(SUITE)
                run.execute(run.collect({"discover": [directory, "test*.py", None]}))
        finally:
            run.close()
        self.assertEqual(processes_of_run(run.id), [])
        return heard.events

    def assert_all_passed(self, events: list[Event]) -> None:
        reports = [event.report for event in events if isinstance(event, TestFinished)]
        self.assertEqual([report.outcome for report in reports], ["passed", "passed"])
        self.assertEqual([event.missing for event in events if isinstance(event, RunFinished)], [()])

    def test_a_run_takes_what_there_is(self) -> None:
        wait_until(lambda: len(processes_of_run(self.prestarted.run)) == 1, "it to have its environment")
        self.assert_all_passed(self.run_it())
        self.assertIsNone(self.prestarted.take_interpreter())

    def test_an_interpreter_that_ended_meanwhile_is_replaced(self) -> None:
        (process,) = wait_until(lambda: processes_of_run(self.prestarted.run), "it to have its environment")
        send_signal(process.pid, SIGKILL)
        self.assert_all_passed(self.run_it())

    def test_what_nobody_takes_is_ended_and_removed(self) -> None:
        (process,) = wait_until(lambda: processes_of_run(self.prestarted.run), "it to have its environment")
        assert self.prestarted._scratch is not None
        path = self.prestarted._scratch.path
        self.assertTrue(os.path.isdir(path))
        self.prestarted.close()
        self.assertTrue(has_ended(process.pid))
        self.assertFalse(os.path.exists(path))


@unittest.skipUnless(IS_LEAN and hasattr(os, "fork"), "no template is started here")
class PrestartedCallsTest(unittest.TestCase):
    def setUp(self) -> None:
        elsewhere = tempfile.TemporaryDirectory()  # the project's own settings have a prelude, and so a template more
        self.addCleanup(elsewhere.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(elsewhere.name)
        self.runner = IsolatedTestRunner(io.StringIO(), start_method="forkserver")
        self.addCleanup(self.runner.shutdown)

    def assert_nothing_is_left(self) -> None:
        assert self.runner._pool is not None
        prestarted = self.runner._pool._state.prestarted
        assert isinstance(prestarted, Prestart)
        self.runner.shutdown()
        self.assertEqual(processes_of_run(prestarted.run), [])
        self.assertEqual((prestarted._scratch, prestarted._started), (None, None))

    def test_the_first_call_takes_it(self) -> None:
        parent = self.runner.run_isolated_test(lambda _: os.getppid()).unwrap()
        assert self.runner._pool is not None
        run = self.runner._pool._state.run
        wait_until(lambda: len(processes_of_run(run)) == 2, "a template, and the first of all, to be alone")
        self.assertIn(parent, {process.pid for process in processes_of_run(run)})
        self.assert_nothing_is_left()

    def test_calls_that_need_none(self) -> None:
        self.assertEqual(self.runner.run_isolated_test(lambda _: 5, options={"start_method": "spawn"}).unwrap(), 5)
        self.assert_nothing_is_left()

    def test_no_call_that_could_be_sent(self) -> None:
        with open(os.devnull, encoding="utf-8") as file, self.assertRaises(CarryError):
            self.runner.submit(lambda _: file)
        self.assert_nothing_is_left()


class MakePrestartTest(unittest.TestCase):
    @unittest.skipIf(IS_LEAN, "one can be started here")
    def test_there_is_none_where_multiprocess_starts_interpreters(self) -> None:
        self.assertIsNone(make_prestart("forkserver", None))

    @unittest.skipUnless(IS_LEAN and hasattr(os, "fork"), "no template is started here")
    def test_an_interrupt_while_the_runner_is_imported(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            ended = run_python("-c", INTERRUPTED_IMPORT, env=environment(TMPDIR=temporary))
            self.assertEqual(os.listdir(temporary), [])
        self.assertEqual(ended.exit_code, 130, ended.output)
        self.assertEqual(ended.output, "isolatedunit: interrupted before the tests were collected\n")

    @unittest.skipUnless(IS_LEAN, "there are no such limits here")
    def test_hardly_any_descriptors_are_allowed(self) -> None:
        program = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8)); "
        program += "from isolatedunit.cli.main import main; sys.exit(main(['test_wire']))"
        with tempfile.TemporaryDirectory() as temporary:
            ended = run_python("-c", program, env=environment(TMPDIR=temporary))
            self.assertEqual(os.listdir(temporary), [])
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertRegex(ended.output, r"^isolatedunit: [^\n]*Too many open files[^\n]*\n$")

    @unittest.skipUnless(IS_LEAN, "the current directory cannot be removed here")
    def test_a_current_directory_that_was_removed(self) -> None:
        program = "import os, sys; os.rmdir(os.getcwd()); "
        program += "from isolatedunit.cli.main import main; sys.exit(main(['test_wire']))"
        ended = run_python("-c", program, cwd=tempfile.mkdtemp())
        told = "isolatedunit: the current directory was removed; change to one that exists.\n"
        self.assertEqual((ended.output, ended.exit_code), (told, 2))

    @unittest.skipUnless(IS_LEAN, "the current directory cannot be removed here")
    def test_a_program_whose_current_directory_was_removed(self) -> None:
        program = "import os, unittest, isolatedunit; os.rmdir(os.getcwd()); "
        program += "runner = isolatedunit.IsolatedTestRunner; "
        program += "unittest.main(None, testRunner=runner, argv=['it', 'tests.unit.test_places'])"
        ended = run_python("-c", program, cwd=tempfile.mkdtemp())
        self.assertEqual(ended.exit_code, 1, ended.output)
        self.assertIn("could not be started: the current directory was removed; change to one", ended.output)
