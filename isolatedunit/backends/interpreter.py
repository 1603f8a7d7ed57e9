"""A fresh interpreter, started through multiprocess's spawn context and connected to us.

multiprocess's own child imports multiprocess, and with it dill, before it does anything: about 75 of
the 110 ms that it takes. `LeanPopen` is the context's Popen with another command line: its child
imports our bootstrap and nothing else, and speaks the Connection's wire format by itself. What the
child is to be comes over the Connection, never on the command line.

Where there is no ``os.posix_spawn``, as on Windows, multiprocess's own way is taken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import multiprocess
from multiprocess import context, spawn, util

from isolatedunit.backends.contract import Setting
from isolatedunit.errors import SpawnError
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import Prepare
from isolatedunit.system import processes
from isolatedunit.system.processes import RUN_VARIABLE, add_mark

PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IS_LEAN = hasattr(os, "posix_spawn") and sys.platform != "win32"

_LASTING = (FileNotFoundError, PermissionError, NotADirectoryError)


if IS_LEAN:
    from multiprocess import popen_spawn_posix

    class LeanPopen(popen_spawn_posix.Popen):  # type: ignore[misc]
        """Starts an interpreter that becomes a child of ours without importing multiprocess."""

        def _launch(self, process_obj: LeanProcess) -> None:
            source = process_obj.descriptor
            # dup2 onto itself would leave the descriptor closed on exec
            target = 3 if source != 3 else 4
            # "" would be the user's folder, where there may be modules with names of the standard library's
            program = (
                f"import sys; parent = {PACKAGE_PARENT!r}; sys.path.insert(0, parent); import isolatedunit; "
                "sys.path[:] = [*(one for one in sys.path if one not in ('', parent)), parent]; "
                f"from isolatedunit.child.bootstrap import main; main({target}, {process_obj.role!r})"
            )
            executable = spawn.get_executable()
            arguments = [executable, *util._args_from_interpreter_flags(), "-c", program]
            actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_DUP2, source, target)]
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            for stream, descriptor in (("stdout", 1), ("stderr", 2)):
                if stream in process_obj.capture:
                    actions.append((os.POSIX_SPAWN_OPEN, descriptor, process_obj.capture[stream], flags, 0o600))
            self.returncode: int | None = None
            self.sentinel = None
            self.usage: Any = None
            self.pid = _posix_spawn(executable, arguments, process_obj.environment, actions)
            if hasattr(os, "pidfd_open"):
                try:
                    self.sentinel = os.pidfd_open(self.pid)
                except OSError:
                    return  # it is looked at now and then instead
                self.finalizer = util.Finalize(self, os.close, (self.sentinel,))

        def poll(self, flag: int = os.WNOHANG) -> int | None:
            """The exit code when the process has ended; notes what the kernel says it used."""
            while self.returncode is None:
                try:
                    if hasattr(os, "wait4"):
                        process_id, status, usage = os.wait4(self.pid, flag)
                    else:
                        (process_id, status), usage = os.waitpid(self.pid, flag), None
                except ChildProcessError:
                    return None
                if process_id != self.pid:
                    return None
                if os.WIFSTOPPED(status):
                    processes.let_go(self.pid, status)
                    continue
                self.usage = usage
                self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    class LeanProcess(context.SpawnProcess):  # type: ignore[misc]
        """A process of the spawn context that takes no object over, only a descriptor."""

        def __init__(self, descriptor: int, role: str, environment: dict[str, str], capture: Mapping[str, str]) -> None:
            # a daemon for multiprocess's exit handler in this process: it must not wait for it.
            # The child knows nothing of that and may have children of its own.
            super().__init__(daemon=True)
            self.descriptor = descriptor
            self.role = role
            self.environment = environment
            self.capture = capture

        @staticmethod
        def _Popen(process_obj: LeanProcess) -> LeanPopen:
            return LeanPopen(process_obj)


def _posix_spawn(executable: str | bytes, arguments: list[Any], environment: dict[str, str], actions: Any) -> int:
    try:
        # a session of its own from the first moment: a Ctrl-C is the runner's
        return os.posix_spawn(executable, arguments, environment, file_actions=actions, setsid=True)
    except NotImplementedError:
        return os.posix_spawn(executable, arguments, environment, file_actions=actions)


def start_interpreter(setting: Setting, role: str, mark: str, capture: Mapping[str, str]) -> tuple[Any, Channel]:
    """Start an interpreter in *role*; gives the process and the channel to it. Raises `SpawnError`.

    *mark* is what the process and all below it carry in their environment, to be found by.
    """
    process, channel = launch(mark, role, capture)
    prepare(channel, setting, role, capture)
    return process, channel


def launch(mark: str, role: str, capture: Mapping[str, str]) -> tuple[Any, Channel]:
    """The same, of an interpreter that waits to be told by `prepare` for what run it is to be that."""
    environment = {**os.environ, RUN_VARIABLE: add_mark(mark)}
    ours = theirs = None
    try:
        ours, theirs = multiprocess.Pipe()
        if IS_LEAN:
            process: Any = LeanProcess(theirs.fileno(), role, environment, capture)
        else:
            process = multiprocess.get_context("spawn").Process(target=_be_child, args=(theirs, environment))
        process.start()
    except OSError as exception:
        if ours is not None:
            ours.close()
        raise SpawnError(
            f"no interpreter could be started: {exception}", lasting=isinstance(exception, _LASTING)
        ) from exception
    finally:
        if theirs is not None:
            theirs.close()
    return process, Channel(ours)


def prepare(channel: Channel, setting: Setting, role: str, capture: Mapping[str, str]) -> None:
    """Tell an interpreter what it is to be; raises `OSError` where it has ended."""
    channel.send(
        Prepare(
            role=role,
            sys_path=list(setting.sys_path),
            argv=list(setting.argv),
            directory=setting.directory,
            own_session=True,
            capture=dict(capture),
            scratch=setting.scratch,
            coverage=setting.coverage,
        )
    )


def _be_child(connection: Any, environment: dict[str, str]) -> None:
    """What multiprocess's own child is given to run."""
    from isolatedunit.child import bootstrap

    os.environ[RUN_VARIABLE] = environment[RUN_VARIABLE]
    bootstrap.main_over_connection(connection)
