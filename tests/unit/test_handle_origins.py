"""Where handles were made: without these tests, a leak could be blamed on a line that did not make it."""

from __future__ import annotations

import contextlib
import locale
import os
import signal
import socket
import sys
import tempfile
import threading
import unittest
from types import SimpleNamespace
from typing import Any
from unittest import mock

from isolatedunit import HandleTracker
from isolatedunit.handles import origins
from isolatedunit.handles.origins import Ledger, find_origin
from tests.support.handles import LeakCase, line_of, track

HERE = __file__
# trap: under isolatedunit itself, the module is sealed, and what stands in its place has no globals
IN_CHILDREN: dict[str, Any] = origins.open_ledger.__globals__
FIRST, SECOND = ("a.py", 1, "first"), ("b.py", 2, "second")


class OriginTest(LeakCase):
    def test_a_file_under_another_name_and_one_of_bytes(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            other = os.path.join(directory, "other")
            os.symlink(HERE, other)
            for name in (other, os.fsencode(HERE)):
                with self.subTest(name):

                    def leak(name: Any = name) -> int:
                        return os.open(name, os.O_RDONLY)

                    self.check(leak, "file", HERE, line_of(leak, 1))

    def test_a_line_of_a_package_where_no_user_has_one(self) -> None:
        source = "import sys\ndef ask(find, found):\n    found.append(find(sys._getframe()))\n"
        package: dict[str, Any] = {}
        exec(compile(source, "/lib/site-packages/package.py", "exec"), package)  # noqa: S102
        found: list[Any] = []
        package["ask"](find_origin, found)
        # in a thread, all that is below it is Python's own
        thread = threading.Thread(target=package["ask"], args=(find_origin, found))
        thread.start()
        thread.join()
        self.assertEqual(found[0][0], HERE)
        self.assertEqual(found[1], ("/lib/site-packages/package.py", 3, "ask"))

    def test_a_process_by_its_object_or_else_by_its_start(self) -> None:
        ledger = Ledger()
        popen = SimpleNamespace(pid=3)
        ledger.processes = [(None, 100.0, FIRST), (None, 100.15, SECOND), (lambda: popen, 100.0, SECOND)]
        for process_id, started, origin in (
            (3, None, SECOND),
            (4, 100.02, FIRST),
            (4, 100.12, SECOND),
            (4, 200.0, None),
        ):
            with self.subTest(process_id=process_id, started=started):
                self.assertEqual(ledger.process_origin(process_id, started), origin)
        ledger.processes = ledger.processes[1:]
        self.assertEqual(ledger.process_origin(4, None), SECOND, "all that were started were started there")

    def test_a_ledger_does_not_grow_without_end(self) -> None:
        with tempfile.TemporaryDirectory() as directory, mock.patch.dict(IN_CHILDREN, MAX_NOTED=10):
            names = [os.path.join(directory, str(number)) for number in range(25)]
            ledger = origins.open_ledger()
            self.addCleanup(origins.close_ledger, ledger)
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    os.open(name, os.O_RDONLY)
        noted = [name for name in ledger.paths if name.startswith(directory + os.sep)]
        self.assertTrue(5 <= len(noted) <= 10, noted)
        self.assertEqual(noted, names[-len(noted) :])


class NameTest(LeakCase):
    @unittest.skipUnless(hasattr(os, "memfd_create"), "Linux")
    def test_what_is_no_file(self) -> None:
        self.check(lambda: os.memfd_create("scratch"), "descriptor", "/memfd:scratch", None)

    @unittest.skipUnless(hasattr(socket, "AF_UNIX") and sys.platform == "linux", "Linux has abstract names")
    def test_sockets_without_an_address_of_the_network(self) -> None:
        def leak() -> list[socket.socket]:
            server = socket.socket(socket.AF_UNIX)
            server.bind(f"\0abstract-{os.getpid()}")
            return [server, *socket.socketpair()]

        found = track(leak)
        self.assertEqual({leak["origin"] for leak in found.leaks}, {line_of(leak, 1), line_of(leak, 3)})
        names = {leak["identity"].partition(" (descriptor ")[0] for leak in found.leaks}
        self.assertEqual(names, {f"@abstract-{os.getpid()}", "unnamed, connected to unnamed"})


class IsOpenTest(unittest.TestCase):
    """What a handle that a test registered says of itself."""

    def test_whether_it_is_open(self) -> None:
        def fail(error: type[Exception]) -> Any:
            raise error

        for handle, is_open in (
            (SimpleNamespace(closed=False), True),
            (SimpleNamespace(is_closed=lambda: True), False),
            (SimpleNamespace(closed="perhaps", fileno=lambda: 5), True),
            (SimpleNamespace(poll=lambda: None, returncode=None), True),
            (SimpleNamespace(poll=lambda: 0, returncode=0), False),
            (SimpleNamespace(fileno=lambda: -1), False),
            (SimpleNamespace(fileno=lambda: fail(ValueError)), False),
            (SimpleNamespace(fileno=lambda: fail(RuntimeError)), True),
            (SimpleNamespace(), True),
        ):
            with self.subTest(handle=vars(handle)):
                tracker = HandleTracker().start()
                tracker.track(handle)
                self.assertEqual(tracker.finish().leaked, int(is_open))


class StateTest(unittest.TestCase):
    def changes(self, *bodies: Any) -> dict[str, tuple[str, str]]:
        found = track(lambda: [body() for body in bodies])
        return {change["what"]: (change["before"], change["after"]) for change in found.state_changes}

    def test_a_current_directory_that_is_gone(self) -> None:
        before, directory = os.getcwd(), tempfile.mkdtemp()
        self.addCleanup(os.chdir, before)
        self.assertEqual(
            self.changes(lambda: os.chdir(directory), lambda: os.rmdir(directory)),
            {"current directory": (before, "None")},
        )

    def test_locale(self) -> None:
        before = locale.setlocale(locale.LC_ALL)
        self.addCleanup(locale.setlocale, locale.LC_ALL, before)
        other = "C" if before != "C" else "C.UTF-8"
        self.assertEqual(self.changes(lambda: locale.setlocale(locale.LC_ALL, other)), {"locale": (before, other)})

    @unittest.skipUnless(hasattr(signal, "SIGUSR2"), "POSIX")
    def test_a_handler_that_cannot_be_shown(self) -> None:
        class Handler:
            broken = False

            def __call__(self, *_: object) -> None: ...

            def __repr__(self) -> str:
                if self.broken:  # not at once: Python shows it to itself
                    raise RuntimeError
                return "whole"

        handler = Handler()
        self.addCleanup(signal.signal, signal.SIGUSR2, signal.getsignal(signal.SIGUSR2))
        self.addCleanup(setattr, handler, "broken", False)
        changes = self.changes(lambda: signal.signal(signal.SIGUSR2, handler), lambda: setattr(handler, "broken", True))
        self.assertEqual(changes["SIGUSR2"][1], "<Handler>")
