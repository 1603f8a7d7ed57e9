"""Tests in forks of the caller's process: without these, what it has set up could be lost, shared, or done twice."""

from __future__ import annotations

import atexit
import io
import os
import signal
import socket
import tempfile
import threading
import time
import unittest
from typing import Any
from unittest import mock

import psutil

from isolatedunit import IsolatedTestCase, IsolatedTestRunner, ipc, isolated
from isolatedunit.backends.registry import fork_here
from isolatedunit.config.start_method import proven_start_methods
from isolatedunit.errors import ForkRefused, OptionError
from isolatedunit.model.events import Event, RunStarted, ValueSent
from isolatedunit.system import processes

STATE: list[str] = []


class Samples:
    """In a class of their own, where no loader finds them."""

    class Plain(unittest.TestCase):
        @classmethod
        def setUpClass(cls) -> None:
            STATE.append("class")

        def test_a(self) -> None:
            self.assertEqual(STATE, ["set up", "class"])
            STATE.append("changed")

        test_b = test_a

        def test_crashes(self) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def test_exits(self) -> None:
            os._exit(0)

        @isolated(process_timeout=0.3)
        def test_hangs(self) -> None:
            time.sleep(600)

    class Parametrized(unittest.TestCase):
        """No name makes this test again, and dill could not carry it."""

        def __init__(self, lock: Any) -> None:
            super().__init__("runTest")
            self.lock = lock

        def runTest(self) -> None:
            self.assertFalse(self.lock.locked())

    class Sending(IsolatedTestCase):
        def test_sends(self) -> None:
            ipc.send("where", STATE)

    class OwnRun(unittest.TestSuite):
        def run(self, result: Any, debug: bool = False) -> Any:
            STATE.append("suite")
            return super().run(result, debug)

    class InSuite(unittest.TestCase):
        def test_c(self) -> None:
            self.assertEqual(STATE, ["set up", "suite"])

        test_d = test_c


def suite_of(*classes: type[unittest.TestCase]) -> unittest.TestSuite:
    return unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, classes))


@unittest.skipUnless("forkserver" in proven_start_methods(), "there is no fork that can be relied on")
class ForkHereTest(unittest.TestCase):
    def setUp(self) -> None:
        STATE[:] = ["set up"]
        self.addCleanup(STATE.clear)

    def run_suite(self, suite: Any, **options: Any) -> Any:
        return IsolatedTestRunner(io.StringIO(), template="fork", **options).run(suite)

    def test_each_test_has_what_the_caller_had_and_nothing_of_another(self) -> None:
        for jobs in (1, 2):
            suite = suite_of(Samples.Plain)
            suite.addTest(Samples.Parametrized(threading.Lock()))
            suite.addTest(Samples.OwnRun(suite_of(Samples.InSuite)))
            result = self.run_suite(suite, max_concurrent_processes=jobs)
            bad = {test.id().rpartition(".")[2]: text for test, text in (*result.errors, *result.failures)}
            self.assertEqual(sorted(bad), ["test_crashes", "test_exits", "test_hangs"], bad)
            self.assertIn("SIGKILL", bad["test_crashes"])
            self.assertIn("in test_hangs", bad["test_hangs"])
            self.assertEqual(result.testsRun, 8)
            self.assertEqual(STATE, ["set up"], "the caller's own is as it was")

    def test_nothing_has_a_test_run_elsewhere(self) -> None:
        """Neither the options of the run, nor of a pattern, nor of the test itself."""

        @isolated(start_method="spawn", fork_after="fixtures")
        class Elsewhere(Samples.Plain):
            pass

        elsewhere = {"start_method": "spawn", "fork_after": "fixtures"}
        options = {**elsewhere, "overrides": [{"tests": "*", **elsewhere}], "preload": ["no.such.module"]}
        result = self.run_suite(unittest.TestSuite([Elsewhere("test_a")]), **options)
        self.assertTrue(result.wasSuccessful(), result.errors)

    def test_messages_arrive_although_what_sends_them_was_imported_before(self) -> None:
        sent: list[Event] = []
        result = self.run_suite(suite_of(Samples.Sending), listeners=[sent.append])
        self.assertTrue(result.wasSuccessful(), result.errors)
        self.assertEqual([event.value for event in sent if isinstance(event, ValueSent)], [["set up"]])

    def test_what_the_caller_has_registered_for_its_exit_is_not_done(self) -> None:
        """Neither when a test's process ends nor when the template does."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)

        def say() -> None:
            os.write(writer, b"!")

        atexit.register(say)
        self.addCleanup(atexit.unregister, say)
        self.assertTrue(self.run_suite(unittest.TestSuite([Samples.Plain("test_a")])).wasSuccessful())
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"")

    def test_what_the_caller_has_not_written_yet_is_written_once(self) -> None:
        with tempfile.TemporaryFile() as file:
            with mock.patch("sys.stdout", os.fdopen(os.dup(file.fileno()), "w")) as stream:
                stream.write("once")
                self.run_suite(unittest.TestSuite([Samples.Plain("test_a")]))
                stream.close()
            self.assertEqual(os.pread(file.fileno(), 100, 0), b"once")

    def test_threads_and_connections_are_refused_by_name(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            with self.assertRaisesRegex(ForkRefused, f"a socket that is bound to .*{server.getsockname()[1]}"):
                self.run_suite(suite_of(Samples.Plain))
            with socket.create_connection(server.getsockname()), self.assertRaisesRegex(ForkRefused, "127.0.0.1"):
                self.run_suite(suite_of(Samples.Plain))
        end = threading.Event()
        thread = threading.Thread(target=end.wait, name="poller")
        thread.start()
        try:
            with self.assertRaisesRegex(ForkRefused, r"a thread is running \(poller\)"):
                self.run_suite(suite_of(Samples.Plain))
        finally:
            end.set()
            thread.join()
        with self.assertRaisesRegex(OptionError, "template: invalid value 'frok'; expected 'pristine' or 'fork'"):
            IsolatedTestRunner(io.StringIO(), template="frok")  # type: ignore[arg-type]

    def test_a_fork_that_nobody_takes_ends(self) -> None:
        prestarted: Any = fork_here([])
        process_id, path = prestarted._started[0], prestarted._scratch.path
        prestarted.close()
        self.assertTrue(processes.has_ended(process_id))
        self.assertFalse(os.path.exists(path))

    def test_a_template_that_is_gone_is_not_replaced_by_one_that_lacks_everything(self) -> None:
        def kill_it(event: Event) -> None:
            if isinstance(event, RunStarted):
                for child in psutil.Process().children():
                    child.kill()
                    child.wait()

        result = self.run_suite(unittest.TestSuite([Samples.Plain("test_a")]), listeners=[kill_it])
        ((_, text),) = result.errors
        self.assertIn("the fork of the runner's process that has the tests is gone", text)


if __name__ == "__main__":
    unittest.main()
