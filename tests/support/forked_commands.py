"""Starts isolatedunit's command as a fork of a Python that has imported it: without this, CI takes half as long again.

To start an interpreter and import what a run needs is most of what a short command takes. ``python -m
tests.support.forked_commands SOCKET`` does that once, and then serves SOCKET, which is there as soon as that can be
used, until it is terminated. Where ``FORKED_COMMANDS`` names the socket, `run_python` has its commands started there:
processes of their own, with the arguments, environment, directory and output that a fresh interpreter would have, which
run ``isolatedunit.__main__`` and end as any interpreter does. A command whose environment differs in what an
interpreter reads as it starts is refused, unless it is where modules are looked for, or where what is compiled of them
is kept; and so is one that would import there, or in its directory, something in place of what is imported here. It is
then started afresh, as all are where there is no such server.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import tempfile
import time
import types
from collections.abc import Mapping
from typing import Any

from tests.support.paths import PACKAGE_PARENT

VARIABLE = "FORKED_COMMANDS"

_BEFORE_A_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "LINES_OF_TESTS")
"""How variables begin that an interpreter reads as it starts; those of the server are what it can serve."""

_USED_BY_MOST = (
    "isolatedunit.cli.main",
    "isolatedunit.cli.rerun",
    "isolatedunit.runner",
    "isolatedunit.backends.forkserver.backend",
    "isolatedunit.collection.names",
    "isolatedunit.engine.run",
    "isolatedunit.history.store",
    "isolatedunit.reporters.files.json_report",
    "isolatedunit.reporters.redaction",
    "isolatedunit.reporters.registry",
    "isolatedunit.reporters.terminal.failures",
    "isolatedunit.reporters.terminal.log",
    "isolatedunit.reporters.terminal.passing_warnings",
    "isolatedunit.reporters.terminal.progress_lines",
    "isolatedunit.reporters.terminal.summary",
)

_PATH = "PYTHONPATH"

_NO_BYTECODE, _BYTECODE = "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"

_OTHERWISE_HEEDED = frozenset({"PYTHONHASHSEED", _PATH, _NO_BYTECODE, _BYTECODE})
"""Those of them of which the first matters to the processes of the tests alone, whose interpreters are always fresh
ones. The others are heeded by `Server.become`."""

_AT_EACH_START = frozenset({"sitecustomize", "usercustomize"})
"""Modules that an interpreter imports as it starts."""


_NOT_IMPORTED_THERE = frozenset({"__main__", "tests"})
"""What is in `sys.modules` here and not in a command's process."""


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the environment an interpreter reads as it starts, and can then no longer be given."""
    return {
        name: value
        for name, value in environment.items()
        if value and name.startswith(_BEFORE_A_START) and name not in _OTHERWISE_HEEDED
    }


def folders_in(environment: Mapping[str, str]) -> list[str]:
    """The folders that the environment puts before those of Python."""
    return environment[_PATH].split(os.pathsep) if environment.get(_PATH) else []


def start(
    arguments: tuple[str, ...], directory: str, environment: Mapping[str, str], output: int
) -> socket.socket | None:
    """Have the command started, with descriptor *output* for what it prints; None if it needs a fresh interpreter.

    The socket says how it ended: `wait`. Closing it before kills the command.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    request = {"arguments": arguments, "directory": directory, "environment": dict(environment)}
    try:
        connection.connect(os.environ[VARIABLE])
        socket.send_fds(connection, [b"."], [output])
        connection.sendall(json.dumps(request).encode() + b"\n")
        if connection.recv(1) == b"+":
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def wait(connection: socket.socket, timeout: float) -> int:
    """Wait for the end of the command; returns its exit code, as `subprocess` counts."""
    connection.settimeout(timeout)
    with connection.makefile("rb") as file:
        answer = file.readline()
    assert answer, "what starts commands has ended"
    return int(answer)


class Server:
    """Forks a process for each connection, and tells it the exit code."""

    def __init__(self, path: str) -> None:
        self.served = read_at_start(os.environ)
        self.imported = {name.partition(".")[0] for name in sys.modules} - _NOT_IMPORTED_THERE
        given = folders_in(os.environ)
        self.known = frozenset(sys.path[1:])
        self.of_python = sys.path[1 + len(given) :] if sys.path[1 : 1 + len(given)] == given else None
        self.running: dict[int, socket.socket] = {}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(f"{path}.new")
        self.listener.listen(64)
        os.rename(f"{path}.new", path)
        self.ended, ended = socket.socketpair()
        self.ended.setblocking(False)
        ended.setblocking(False)
        signal.set_wakeup_fd(ended.fileno(), warn_on_full_buffer=False)
        self.own = [self.listener, self.ended, ended]
        self.selector = selectors.DefaultSelector()

    def serve(self) -> tuple[str, ...]:
        """Serve for good. Returns in each process that was forked for a command, with the arguments of this."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.ended, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    arguments = self.take()
                    if arguments is not None:
                        return arguments
                elif key.fileobj is not self.ended:
                    self.abandon(key.data)
            with contextlib.suppress(BlockingIOError):
                self.ended.recv(4096)
            self.reap()

    def serves(self, request: dict[str, Any]) -> bool:
        """Whether a fork of this process is what a fresh interpreter would be."""
        folders = folders_in(request["environment"])
        if read_at_start(request["environment"]) != self.served or not all(map(os.path.isabs, folders)):
            return False
        if self.of_python is None and folders != folders_in(os.environ):
            return False
        return not any(map(self.shadows, [request["directory"], *(one for one in folders if one not in self.known)]))

    def shadows(self, folder: str) -> bool:
        """Whether a fresh interpreter would import something there that it imports elsewhere here."""
        names = {name.partition(".")[0] for name in os.listdir(folder)} if os.path.isdir(folder) else set()
        if os.path.realpath(folder) == os.path.realpath(PACKAGE_PARENT):
            names.discard("isolatedunit")
        return bool(names & (self.imported | _AT_EACH_START))

    def take(self) -> tuple[str, ...] | None:
        """Take a request; returns its arguments in the process that was forked for it."""
        connection, _ = self.listener.accept()
        _, (output,), _, _ = socket.recv_fds(connection, 1, 1)
        try:
            with connection.makefile("rb") as file:
                request = json.loads(file.readline())
            if not self.serves(request):
                connection.sendall(b"-")
                connection.close()
                return None
            process_id = os.fork()
            if process_id == 0:
                connection.close()
                self.become(request, output)
                return tuple(request["arguments"])
        finally:
            os.close(output)
        self.running[process_id] = connection
        self.selector.register(connection, selectors.EVENT_READ, process_id)
        connection.sendall(b"+")
        return None

    def become(self, request: dict[str, Any], output: int) -> None:
        """Make this process, a fork, what a fresh interpreter would be that was started as *request* says."""
        self.selector.close()
        signal.set_wakeup_fd(-1)
        for its in (*self.own, *self.running.values()):
            its.close()
        # a shell's background jobs, such as the server, ignore what a terminal sends
        for number, action in (
            (signal.SIGCHLD, signal.SIG_DFL),
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGQUIT, signal.SIG_DFL),
        ):
            signal.signal(number, action)
        os.setpgid(0, 0)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(request["directory"])
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None  # which something that was imported has looked for
        time.tzset()
        sys.path[0] = os.getcwd()
        sys.dont_write_bytecode = bool(os.environ.get(_NO_BYTECODE))
        sys.pycache_prefix = os.environ.get(_BYTECODE) or None
        if self.of_python is not None:
            sys.path[1:] = dict.fromkeys([*folders_in(os.environ), *self.of_python])
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        sys.orig_argv[:] = [sys.executable, *request["arguments"]]
        importlib.invalidate_caches()

    def abandon(self, process_id: int) -> None:
        """Kill a command that nobody waits for any longer."""
        self.selector.unregister(self.running[process_id])
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)

    def reap(self) -> None:
        """Tell those who wait for the commands that have ended."""
        while self.running:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if not process_id:
                return
            with self.running.pop(process_id) as connection:
                with contextlib.suppress(KeyError):
                    self.selector.unregister(connection)
                with contextlib.suppress(OSError):
                    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def import_all() -> None:
    """Import what nearly every run of tests uses; what few use would only make each fork cost more."""
    for name in _USED_BY_MOST:
        importlib.import_module(name)


if __name__ == "__main__":
    import_all()
    command = Server(sys.argv[1]).serve()
    # what is run as __main__ must not find what is here
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = [command[1], *command[2:]]
    runpy._run_module_as_main(command[1])  # type: ignore[attr-defined]
