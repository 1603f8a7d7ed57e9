"""HandleTracker: without these tests, an open handle could be missed, misnamed or closed though others use it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import os
import random
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import unittest
import unittest.mock
import warnings
from collections.abc import Callable
from typing import Any

from isolatedunit import HandleTracker
from isolatedunit.handles.origins import UNKNOWN
from tests.support.handles import CleanCase, LeakCase, line_of, track

HERE = __file__


class LeakTest(LeakCase):
    """Each kind, left open."""

    def test_file(self) -> None:
        def leak() -> Any:
            return open(HERE)

        kept: list[Any] = []
        found = self.check(lambda: kept.append(leak()), "file", HERE, line_of(leak, 1))
        self.assertEqual((found.leaked, found.cleaned, found.forced), (1, 1, 0))
        self.assertTrue(kept[0].closed)

    def test_file_that_was_written_to_is_flushed(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "written")
            kept: list[Any] = []

            def leak() -> None:
                kept.append(open(path, "w"))  # noqa: SIM115
                kept[0].write("text")

            self.check(leak, "file", path, line_of(leak, 1))
            with open(path) as file:
                self.assertEqual(file.read(), "text")

    def test_bare_descriptor(self) -> None:
        def leak() -> int:
            return os.open(HERE, os.O_RDONLY)

        found = self.check(leak, "file", HERE, line_of(leak, 1))
        self.assertEqual((found.cleaned, found.forced), (1, 1))

    def test_the_one_of_two_on_the_same_file(self) -> None:
        def leak() -> int:
            first = os.open(HERE, os.O_RDONLY)
            os.close(os.open(HERE, os.O_RDONLY))
            return first

        self.check(leak, "file", HERE, line_of(leak, 1))

    def test_relative_path(self) -> None:
        before = os.getcwd()
        os.chdir(os.path.dirname(HERE))
        self.addCleanup(os.chdir, before)

        def leak() -> int:
            return os.open(os.path.basename(HERE), os.O_RDONLY)

        self.check(leak, "file", HERE, line_of(leak, 1))

    def test_pipe(self) -> None:
        found = track(os.pipe)
        self.assertEqual(found.by_kind, {"pipe": 2})
        self.assertEqual({leak["origin"] for leak in found.leaks}, {UNKNOWN})

    def test_pipe_that_was_made_into_a_file(self) -> None:
        def leak() -> list[Any]:
            reading, writing = os.pipe()
            os.close(writing)
            return [os.fdopen(reading)]

        self.check(leak, "pipe", "pipe", line_of(leak, 3))

    def test_file_that_never_had_a_name(self) -> None:
        def leak() -> Any:
            return tempfile.TemporaryFile()

        self.check(leak, "file", os.path.realpath(tempfile.gettempdir()), line_of(leak, 1))

    def test_directory_that_is_listed(self) -> None:
        def leak() -> Any:
            listing = os.scandir(os.path.dirname(HERE))
            next(listing)
            return listing

        self.check(leak, "file", os.path.dirname(HERE), line_of(leak, 1))

    def test_sockets(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = "{}:{}".format(*server.getsockname())

            def leak() -> Any:
                return socket.create_connection(server.getsockname())

            found = self.check(leak, "socket", f"connected to {address}", line_of(leak, 1))
            self.assertEqual((found.cleaned, found.forced), (1, 0))

    def test_listening_socket(self) -> None:
        def leak() -> Any:
            return socket.create_server(("127.0.0.1", 0))

        self.check(leak, "socket", "listening", line_of(leak, 1))

    def test_thread(self) -> None:
        release = threading.Event()
        self.addCleanup(release.set)

        def leak() -> None:
            threading.Thread(target=release.wait, name="lingering").start()

        found = self.check(leak, "thread", "lingering", line_of(leak, 1))
        self.assertEqual((found.leaked, found.cleaned), (1, 0))
        release.set()

    def test_timer(self) -> None:
        def leak() -> None:
            threading.Timer(1000, print).start()

        found = self.check(leak, "timer", "(print after 1000 s)", line_of(leak, 1))
        self.assertEqual((found.leaked, found.cleaned), (1, 1))

    def test_temporary_file_and_directory(self) -> None:
        made: list[str] = []

        def leak() -> None:
            descriptor, path = tempfile.mkstemp()
            os.close(descriptor)
            made.append(path)
            made.append(tempfile.mkdtemp())
            with open(os.path.join(made[1], "inside"), "w"):
                pass

        found = track(leak)
        self.assertEqual(found.by_kind, {"temporary": 2})
        self.assertEqual([leak["identity"] for leak in found.leaks], made)
        self.assertEqual([leak["origin"] for leak in found.leaks], [line_of(leak, 1), line_of(leak, 4)])
        self.assertEqual([path for path in made if os.path.lexists(path)], [])
        self.assertEqual(found.cleaned, 2)

    def test_loop(self) -> None:
        kept: list[Any] = []

        def leak() -> None:
            kept.append(asyncio.new_event_loop())

        found = self.check(leak, "loop", "EventLoop", line_of(leak, 1))
        self.assertEqual(found.leaked, 1, "its descriptors are told as the loop")
        self.assertTrue(kept[0].is_closed())

    def test_task(self) -> None:
        async def linger() -> None:
            await asyncio.sleep(1000)

        kept: list[Any] = []

        def leak() -> None:
            loop = asyncio.new_event_loop()
            kept.append(loop.create_task(linger(), name="lingering"))
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

        self.check(leak, "task", "lingering", line_of(linger, 1))
        kept[0]._log_destroy_pending = False

    def test_task_of_a_class_that_is_none_of_asyncios(self) -> None:
        class Task(asyncio.Task[None]):
            pass

        async def linger() -> None:
            await asyncio.sleep(1000)

        kept: list[Any] = []

        def leak() -> None:
            loop = asyncio.new_event_loop()
            make: Any = lambda loop, coroutine, **more: Task(coroutine, loop=loop, **more)  # noqa: E731 - typed
            loop.set_task_factory(make)
            kept.append(loop.create_task(linger(), name="lingering"))
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

        self.check(leak, "task", "lingering", line_of(linger, 1))
        kept[0]._log_destroy_pending = False

    def test_tracked_handle_that_stays_open(self) -> None:
        class Client:
            closed = False

        tracker = HandleTracker().start()
        tracker.track(Client(), kind="client", identity="to nowhere")
        (leak,) = tracker.finish().leaks
        self.assertEqual((leak["kind"], leak["identity"]), ("client", "to nowhere"))
        self.assertRegex(leak["origin"], r"test_handle_tracker.py:\d+ in test_tracked_handle_that_stays_open")

    def test_close_that_fails(self) -> None:
        def fail() -> None:
            raise OSError("it is stuck")

        tracker = HandleTracker()
        tracker.track(object(), close=fail)
        (leak,) = tracker.finish().leaks
        self.assertIn("it is stuck", leak["identity"])

    def test_no_time_left(self) -> None:
        kept: list[Any] = []
        found = track(lambda: kept.append(tempfile.mkdtemp()), timeout=0.0)
        self.assertEqual((found.leaked, found.cleaned), (1, 0))
        os.rmdir(kept[0])


class CleanTest(CleanCase):
    """Each kind, in order."""

    def test_nothing(self) -> None:
        self.assertEqual(self.check(lambda: None).to_dict()["state_changes"], [])

    def test_file(self) -> None:
        def use() -> None:
            with open(HERE) as file:
                file.read()

        found = self.check(use)
        self.assertEqual((found.opened, found.closed), (1, 1))

    def test_file_out_of_scope(self) -> None:
        def use() -> None:
            cycle: list[Any] = [open(HERE)]  # noqa: SIM115
            cycle.append(cycle)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.check(use)

    def test_what_was_open_before(self) -> None:
        with open(HERE) as file, socket.socket():
            self.check(file.read)

    def test_thread_that_is_about_to_end(self) -> None:
        self.check(lambda: threading.Timer(0.05, int).start())

    def test_daemon_thread(self) -> None:
        release = threading.Event()
        self.addCleanup(release.set)
        self.check(lambda: threading.Thread(target=release.wait, daemon=True).start())

    def test_default_executor_of_a_loop(self) -> None:
        async def use() -> None:
            await asyncio.to_thread(int)

        self.check(lambda: asyncio.run(use()))

    def test_tracked_handles(self) -> None:
        closed: list[str] = []
        tracker = HandleTracker().start()
        tracker.track(object(), close=functools.partial(closed.append, "one"))
        tracker.track(object(), close=functools.partial(closed.append, "two"))
        with tracker.track(open(HERE)) as file:
            file.read()
        forgotten = tracker.track(object())
        tracker.untrack(forgotten)
        found = tracker.finish()
        self.assertEqual((found.leaks, closed), ((), ["two", "one"]))
        self.assertIs(tracker.finish(), found)

    def test_tracked_database(self) -> None:
        tracker = HandleTracker().start()
        tracker.track(sqlite3.connect(":memory:")).close()
        self.assertEqual(tracker.finish().leaks, ())

    def test_context_manager(self) -> None:
        with HandleTracker() as tracker:
            pass
        assert tracker.result is not None
        self.assertEqual(tracker.result.leaked, 0)

    def test_one_inside_of_another(self) -> None:
        descriptor = -1
        with HandleTracker() as outer, HandleTracker() as inner:
            descriptor = os.open(HERE, os.O_RDONLY)
        assert inner.result is not None
        assert outer.result is not None
        self.assertEqual((inner.result.leaked, outer.result.leaked), (1, 0))
        with self.assertRaises(OSError):
            os.fstat(descriptor)

    def test_several_threads_track(self) -> None:
        tracker = HandleTracker().start()

        def use() -> None:
            for _ in range(200):
                tracker.untrack(tracker.track(open(HERE)))  # noqa: SIM115

        threads = [threading.Thread(target=use) for _ in range(4)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(tracker.finish().leaks, ())


class StateTest(unittest.TestCase):
    def changes(self, body: Callable[[], Any]) -> dict[tuple[str, str], tuple[str, str]]:
        found = track(body)
        self.assertEqual(found.leaks, ())
        return {(one["kind"], one["what"]): (one["before"], one["after"]) for one in found.state_changes}

    def test_environment(self) -> None:
        def change() -> None:
            os.environ["HANDLES_TEST"] = "1"
            os.environ["HANDLES_TEST_TOKEN"] = "secret"  # noqa: S105

        self.addCleanup(os.environ.pop, "HANDLES_TEST", None)
        self.addCleanup(os.environ.pop, "HANDLES_TEST_TOKEN", None)
        self.assertEqual(
            self.changes(change),
            {
                ("environment", "HANDLES_TEST"): ("(not set)", "1"),
                ("environment", "HANDLES_TEST_TOKEN"): ("(not set)", "(hidden)"),
            },
        )

    def test_directory_umask_and_path(self) -> None:
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        self.addCleanup(os.umask, os.umask(0o022))
        self.addCleanup(sys.path.__setitem__, slice(None), list(sys.path))
        changes = self.changes(lambda: (os.chdir("/"), os.umask(0o027), sys.path.append("nowhere")))
        self.assertEqual(changes[("directory", "current directory")], (before, "/"))
        self.assertEqual(changes[("umask", "umask")], ("0o022", "0o027"))
        self.assertEqual({kind for kind, _ in changes}, {"directory", "umask", "path"})

    def test_modules_replaced_and_not_added(self) -> None:
        self.addCleanup(sys.modules.__setitem__, "string", sys.modules["string"])
        self.addCleanup(sys.modules.pop, "handles_added", None)
        fake: Any = object()
        changes = self.changes(lambda: sys.modules.update(string=fake, handles_added=fake))
        self.assertEqual(set(changes), {("module", "string")})

    @unittest.skipUnless(hasattr(signal, "SIGUSR2"), "POSIX")
    def test_signals_warnings_and_logging(self) -> None:
        handler = logging.NullHandler()
        self.addCleanup(signal.signal, signal.SIGUSR2, signal.getsignal(signal.SIGUSR2))
        self.addCleanup(logging.getLogger().removeHandler, handler)
        with warnings.catch_warnings():
            changes = self.changes(
                lambda: (
                    signal.signal(signal.SIGUSR2, signal.SIG_IGN),
                    warnings.simplefilter("error"),
                    logging.getLogger().addHandler(handler),
                )
            )
        self.assertEqual(set(changes), {("signal", "SIGUSR2"), ("warnings", "warnings.filters"), ("logging", "root")})

    def test_default_executor(self) -> None:
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        self.addCleanup(asyncio.set_event_loop, None)
        asyncio.set_event_loop(loop)
        executor = concurrent.futures.ThreadPoolExecutor(1)
        changes = self.changes(lambda: loop.set_default_executor(executor))
        (((kind, _), (before, after)),) = changes.items()
        self.assertEqual((kind, before, after), ("executor", "None", repr(executor)))
        self.assertEqual(self.changes(lambda: loop.run_until_complete(loop.shutdown_default_executor())), {})

    def test_random_without_a_seed(self) -> None:
        self.addCleanup(random.setstate, random.getstate())
        drawn = {("random", "random")}
        self.assertEqual(set(self.changes(random.random)), drawn)
        self.assertEqual(set(self.changes(lambda: random.gauss(0, 1))), drawn)
        self.assertEqual(set(self.changes(lambda: random.getrandbits(32 * 5000))), drawn)

    def test_random_that_is_seeded_put_back_or_not_touched(self) -> None:
        self.addCleanup(random.setstate, random.getstate())

        def put_back() -> None:
            state = random.getstate()
            random.random()
            random.setstate(state)

        def seed(number: int, draws: int) -> None:
            random.seed(number)
            for _ in range(draws):
                random.random()

        for body in (lambda: seed(7, 0), lambda: seed(8, 9), lambda: seed(8, 3), put_back, random.Random().random):
            self.assertEqual(self.changes(body), {})

    def test_what_was_put_back(self) -> None:
        def change() -> None:
            with unittest.mock.patch.dict(os.environ, {"HANDLES_TEST": "1"}), warnings.catch_warnings():
                warnings.simplefilter("error")
                before = os.getcwd()
                os.chdir("/")
                os.chdir(before)

        self.assertEqual(self.changes(change), {})
