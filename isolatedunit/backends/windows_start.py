"""How an interpreter that becomes a child is started on Windows: in a Job Object of its own from its first moment.

multiprocess passes the Connections on. Its own Popen has no way to act between the start of a process and the first
line that runs in it, so `JobPopen` starts the process in its place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import multiprocess
from multiprocess import context, spawn, util

_SUSPENDED, _OWN_GROUP = 0x4, 0x200
"""How a process is created; in a group of its own it hears no Ctrl-C, which is the runner's."""

_STARTS_MAIN = ("init_main_from_name", "init_main_from_path")
"""What multiprocess tells a child about the runner's main module, for the child to import it."""


def make_process(target: Callable[..., None], arguments: tuple[Any, ...], environment: Mapping[str, str]) -> Any:
    """A process that will call *target* with *arguments*; on Windows in this *environment*, and in a job."""
    if sys.platform == "win32":
        return JobProcess(target, arguments, environment)
    return multiprocess.get_context("spawn").Process(target=target, args=arguments)


if sys.platform == "win32":
    import _winapi
    import msvcrt

    from multiprocess import popen_spawn_win32

    from isolatedunit.system.jobs import Job, resume

    _windows: Any = _winapi

    class JobPopen(popen_spawn_win32.Popen):  # type: ignore[misc]
        """Starts an interpreter in a *job* that neither it nor what it starts can leave."""

        def __init__(self, process: JobProcess) -> None:
            told = spawn.get_preparation_data(process._name)
            for name in _STARTS_MAIN:
                told.pop(name, None)
            reader, writer = _windows.CreatePipe(None, 0)
            with open(msvcrt.open_osfhandle(writer, 0), "wb") as to_child:
                self.job = Job()
                self.returncode = None
                self.finalizer = util.Finalize(self, _release, (self.job, [int(reader)]))
                try:
                    self._start(spawn.get_command_line(parent_pid=os.getpid(), pipe_handle=reader), process.environment)
                    context.set_spawning_popen(self)
                    context.reduction.dump(told, to_child)
                    context.reduction.dump(process, to_child)
                except BaseException:
                    self.finalizer()
                    raise
                finally:
                    context.set_spawning_popen(None)

        def _start(self, command: list[str], environment: Mapping[str, str]) -> None:
            variables = dict(environment)
            if popen_spawn_win32.WINENV and popen_spawn_win32._path_eq(command[0], sys.executable):
                # in a virtual environment, python.exe only starts the real one, which is told this way where it is
                command = [spawn.sys._base_executable, *command[1:]]
                variables["__PYVENV_LAUNCHER__"] = sys.executable
            process, thread, self.pid, _ = _windows.CreateProcess(
                command[0],
                " ".join(f'"{word}"' for word in command),
                *(None, None, False, _SUSPENDED | _OWN_GROUP, variables, None, None),
            )
            self._handle = process
            self.sentinel = int(process)
            self.finalizer._args[1].append(self.sentinel)
            try:
                self.job.assign(self.sentinel)
                resume(int(thread))
            except OSError:
                _windows.TerminateProcess(self.sentinel, 1)
                raise
            finally:
                _windows.CloseHandle(thread)

    def _release(job: Job, handles: list[int]) -> None:
        job.close()
        for handle in handles:
            _windows.CloseHandle(handle)

    class JobProcess(context.SpawnProcess):  # type: ignore[misc]
        """A process of the spawn context that calls *target* with *ends*, in this *environment* and in a job."""

        def __init__(self, target: Callable[..., None], ends: tuple[Any, ...], environment: Mapping[str, str]) -> None:
            super().__init__(target=target, args=ends)
            self.environment = environment

        @staticmethod
        def _Popen(process: JobProcess) -> JobPopen:
            return JobPopen(process)
