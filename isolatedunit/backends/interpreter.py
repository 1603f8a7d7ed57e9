"""Starts fresh interpreters through multiprocess's spawn context, each with a Connection to this process.

multiprocess's own child imports multiprocess, and dill with it, before it does anything else: about 75 of the 110 ms
that it takes to start. `LeanPopen` is the context's Popen with another command line: its child imports our bootstrap
and nothing else, and speaks the Connection's wire format without multiprocess. What the child has to know comes over
the Connection, never on the command line, which every user of the machine can read.

Where there is no ``os.posix_spawn``, interpreters are started in multiprocess's own way, on Windows in a job besides
(`isolatedunit.backends.windows_start`).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from multiprocess import context, spawn, util
from multiprocess.connection import wait

from isolatedunit.backends.connections import TemplateConnection, TheirEnd, open_channel, open_template_connection
from isolatedunit.backends.contract import Setting
from isolatedunit.backends.lean_start import IS_LEAN, environment_of, start
from isolatedunit.backends.windows_start import make_process
from isolatedunit.errors import SpawnError
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import Prepare
from isolatedunit.system import processes
from isolatedunit.system.bytecode_folder import bytecode_folder
from isolatedunit.system.monkey_patches import patched_by_gevent
from isolatedunit.system.processes import HASH_SEED_VARIABLE, RUN_VARIABLE, set_hash_seed_variable, unreaped

_LOOK_INTERVAL, _LONGEST_WAIT, _END_TIMEOUT = 0.01, 0.5, 5.0
if TYPE_CHECKING:
    from isolatedunit.system.jobs import Job

AnyChannel = TypeVar("AnyChannel", bound=Channel)
_LASTING = (FileNotFoundError, PermissionError, NotADirectoryError)


if IS_LEAN:
    from multiprocess import popen_spawn_posix

    class LeanPopen(popen_spawn_posix.Popen):  # type: ignore[misc]
        """Starts an interpreter that becomes a child of ours without importing multiprocess."""

        def _launch(self, process_obj: LeanProcess) -> None:
            self.returncode: int | None = None
            self.sentinel = None
            self.usage: Any = None
            self.is_lost = False
            self.pid = process_obj.started or start(
                spawn.get_executable(),
                process_obj.descriptors,
                process_obj.role,
                process_obj.environment,
                process_obj.capture,
            )
            if hasattr(os, "pidfd_open"):
                try:
                    self.sentinel = os.pidfd_open(self.pid)
                except OSError:
                    return  # without a sentinel, the process is looked at now and then
                self.finalizer = util.Finalize(self, os.close, (self.sentinel,))

        def poll(self, flag: int = os.WNOHANG) -> int | None:
            """The exit code, or None while the process runs; keeps what the kernel reports that it used.

            Sets *is_lost*, with an exit code of 0 that means nothing, where another has waited for the process: the
            kernel itself does while SIGCHLD is ignored, and so does a program that reaps whatever child has ended.
            """
            while self.returncode is None:
                try:
                    if hasattr(os, "wait4"):
                        process_id, status, usage = os.wait4(self.pid, flag)
                    else:
                        (process_id, status), usage = os.waitpid(self.pid, flag), None
                except ChildProcessError:
                    self.is_lost, self.returncode = True, 0
                    unreaped.discard(self.pid)
                    break
                if process_id != self.pid:
                    return None
                if os.WIFSTOPPED(status):
                    processes.let_go(self.pid, status)
                    continue
                self.usage = usage
                unreaped.discard(self.pid)
                self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    class LeanProcess(context.SpawnProcess):  # type: ignore[misc]
        """A process of the spawn context that is passed no object, only descriptors.

        *started* is the id of one that was started before multiprocess was there.
        """

        def __init__(
            self,
            descriptors: tuple[int, int],
            role: str,
            environment: Mapping[str, str],
            capture: Mapping[str, str],
            started: int | None = None,
        ) -> None:
            # multiprocess's exit handler in this process would wait for one that is no daemon. The child does not know
            # that it is called one, so it may have children of its own.
            super().__init__(daemon=True)
            self.descriptors = descriptors
            self.role = role
            self.environment = environment
            self.capture = capture
            self.started = started

        @staticmethod
        def _Popen(process_obj: LeanProcess) -> LeanPopen:
            return LeanPopen(process_obj)


def start_worker(setting: Setting, mark: str, capture: Mapping[str, str]) -> tuple[Any, Channel]:
    """Start an interpreter that waits for its work; returns the process and the channel to it. Raises `SpawnError`.

    The process and all below it carry *mark* in their environment, so that they can be found.
    """
    process, channel = _launch(open_channel, mark, "worker", capture, setting.hash_seed)
    prepare(channel, setting, "worker", capture)
    return process, channel


def start_checkpoint(setting: Setting, mark: str, capture: Mapping[str, str]) -> tuple[Any, Channel]:
    """Start the interpreter that becomes the first checkpoint of an audit, whose directory is *setting*'s scratch.

    Returns as `start_worker` does. It ends with all below it when the channel is closed. Raises `SpawnError`.
    """
    process, channel = _launch(open_channel, mark, "checkpoint", capture, setting.hash_seed)
    prepare(channel, setting, "checkpoint", capture)
    return process, channel


def launch_template(
    mark: str, capture: Mapping[str, str], hash_seed: int | None = None
) -> tuple[Any, TemplateConnection]:
    """Start an interpreter that waits for `prepare` to send it what it needs; returns as `start_worker` does.

    Its hashes have this seed, if there is one: processes that list and run tests have to agree on the order of sets.
    """
    return _launch(open_template_connection, mark, "template", capture, hash_seed)


def _launch(
    open_ends: Callable[[], tuple[AnyChannel, TheirEnd]],
    mark: str,
    role: str,
    capture: Mapping[str, str],
    hash_seed: int | None,
) -> tuple[Any, AnyChannel]:
    environment = environment_of(mark, hash_seed)
    channel = theirs = None
    try:
        channel, theirs = open_ends()
        if IS_LEAN:
            process: Any = LeanProcess(theirs.descriptors, role, environment, capture)
        else:
            process = make_process(_be_child, (*theirs, environment), environment)
        with nullcontext() if IS_LEAN else _hash_seed_set(environment):
            process.start()
    except OSError as exception:
        if channel is not None:
            channel.close()
        raise SpawnError(
            f"no interpreter could be started: {exception}", lasting=isinstance(exception, _LASTING)
        ) from exception
    finally:
        if theirs is not None:
            theirs.close()
    return process, channel


def adopt(process_id: int, descriptor: int) -> tuple[Any, TemplateConnection]:
    """The process and the Connection of a template that was started before multiprocess was there.

    *descriptor* is this end of its Connection.
    """
    process = LeanProcess((-1, -1), "template", {}, {}, process_id)
    process.start()
    return process, TemplateConnection(socket.socket(fileno=descriptor))


def prepare(
    channel: Channel,
    setting: Setting,
    role: str,
    capture: Mapping[str, str],
    *,
    sandboxed: bool = False,
    foreign: bool = False,
) -> None:
    """Send an interpreter that was launched what it needs to know of the run; raises `OSError` if it has ended.

    One that is *foreign* is not that of this machine: it has a library of its own, and no files but those of the run.
    """
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
            patched_by_gevent=patched_by_gevent(),
            ignores_children=processes.ignores_children(),
            hash_seed=os.environ.get(HASH_SEED_VARIABLE),
            bytecode="" if foreign else bytecode_folder(),
            sandboxed=sandboxed,
            keeps_path=foreign,
            environment=dict(setting.environment or {}),
            warm=setting.warm == "auto",
            immortal=setting.immortal == "auto" and not patched_by_gevent(),
        )
    )


def wait_for_end(process: Any, timeout: float) -> bool:
    """Wait until an interpreter has ended, for *timeout* seconds at most; whether it has."""
    popen, deadline = process._popen, time.monotonic() + timeout
    while popen.poll() is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if popen.sentinel is None:
            time.sleep(_LOOK_INTERVAL)
        else:
            wait([popen.sentinel], min(left, _LONGEST_WAIT))
    return True


def job_of(process: Any) -> Job | None:
    """The Job Object that an interpreter and all below it are in; None where there is no such thing."""
    job: Job | None = getattr(process._popen, "job", None)
    return job


def kill_interpreter(process: Any) -> None:
    """Kill an interpreter, unless it has ended, and what it has started in its process group or job."""
    job = job_of(process)
    if process._popen.poll() is not None:
        return
    if job is not None:
        job.terminate()
        return
    processes.send_signal(process.pid, processes.SIGKILL)
    processes.kill_group(process.pid)


def end_interpreter(process: Any) -> bool:
    """Kill an interpreter and release what is held for it; False if the kernel does not let it end, which is given up.

    It ends as a whole group, its own.
    """
    kill_interpreter(process)
    if not wait_for_end(process, _END_TIMEOUT):
        return False
    process.close()
    return True


@contextmanager
def _hash_seed_set(environment: Mapping[str, str]) -> Iterator[None]:
    """Have this process's own environment say the seed, where multiprocess passes no other one on."""
    before = os.environ.get(HASH_SEED_VARIABLE)
    set_hash_seed_variable(environment.get(HASH_SEED_VARIABLE))
    try:
        yield
    finally:
        set_hash_seed_variable(before)


def _be_child(reader: Any, writer: Any, environment: dict[str, str]) -> None:
    """Run in a child that multiprocess started in its own way."""
    from isolatedunit.child.sealing import enter

    os.environ[RUN_VARIABLE] = environment[RUN_VARIABLE]
    enter("isolatedunit.child.bootstrap").main_over_connections(reader, writer)
