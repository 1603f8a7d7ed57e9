"""Interpreters that were started before there was work for them, and wait for it.

A waiting interpreter is blocked in a read and uses no processor time. It inherited the environment, the limits and
everything else that this process had when it started. If one that is started now would inherit something else, the
waiting one is ended and not used. What belongs to a test and not to the run, such as a memory limit or a control group,
comes with the work, as it does for every child.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Any

from multiprocess import spawn, util

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import Setting
from isolatedunit.backends.interpreter import end_interpreter, kill_interpreter, start_worker
from isolatedunit.backends.spawn.orphan_reaper import OrphanReaper
from isolatedunit.errors import SpawnError
from isolatedunit.model.records import record
from isolatedunit.protocol.channel import Channel
from isolatedunit.system.usage import inherited

_LEAVE_TIMEOUT = 5.0


@record(frozen=True)
class InheritedState:
    """What a new process inherits from this one and a test can see, but for what `Setting` fixes for the whole run."""

    environment: dict[str, str]
    directory: str | None
    command: tuple[str, ...]
    others: tuple[Any, ...]

    @classmethod
    def of_now(cls) -> InheritedState:
        """What a process would inherit that is started at this moment."""
        try:
            directory = os.getcwd()
        except OSError:  # it was removed
            directory = None
        command = (os.fsdecode(spawn.get_executable()), *util._args_from_interpreter_flags())
        return cls(dict(os.environ), directory, command, inherited())


class Interpreter:
    """A process that is ready for work, and will carry out the one command that it is sent.

    It and all processes below it carry *mark* in their environment. Raises `SpawnError`.
    """

    def __init__(self, setting: Setting, capture: Capture, mark: str, orphan_reaper: OrphanReaper) -> None:
        self.capture = capture
        self.mark = mark
        self.inherited_state = InheritedState.of_now()
        self.process: Any
        self.channel: Channel
        self.process, self.channel = start_worker(setting, mark, capture.paths)
        self.process_id: int = self.process.pid
        self._orphan_reaper = orphan_reaper
        try:
            orphan_reaper.watch(self.process_id)
        except OSError as exception:  # nobody would end the interpreter if this process was killed
            end_interpreter(self.process)
            self._release()
            raise SpawnError(f"its orphan reaper could not be started: {exception}") from exception

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self.process._popen.poll() is not None

    def kill(self) -> None:
        """Kill the process, and those that it has started in its process group or job."""
        kill_interpreter(self.process)

    def close(self) -> None:
        """Release the process, which is gone or about to be, and remove its files."""
        self._release()
        if self.is_gone:
            self.process.close()
        self._orphan_reaper.forget(self.process_id)

    def _release(self) -> None:
        self.channel.close()
        self.capture.remove()


class IdlePool:
    """The interpreters that wait, and those that were killed and are not gone yet."""

    def __init__(self) -> None:
        self._waiting: deque[Interpreter] = deque()
        self._ending: list[Interpreter] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def process_ids(self) -> list[int]:
        """The ids of those that wait."""
        return [one.process_id for one in self._waiting]

    def add(self, interpreter: Interpreter) -> None:
        """Have one more interpreter wait."""
        self._waiting.append(interpreter)

    def take(self) -> Interpreter | None:
        """The one that has waited longest and has inherited what a new one would; None if there is none."""
        self._reap()
        if not self._waiting:
            return None
        now = InheritedState.of_now()
        while self._waiting:
            interpreter = self._waiting.popleft()
            if interpreter.inherited_state == now and not interpreter.is_gone:
                return interpreter
            self._end(interpreter)
        return None

    def end_all(self) -> None:
        """Kill those that wait."""
        while self._waiting:
            self._end(self._waiting.popleft())

    def _end(self, interpreter: Interpreter) -> None:
        interpreter.kill()
        self._ending.append(interpreter)
        self._reap()

    def _reap(self) -> None:
        for interpreter in [one for one in self._ending if one.is_gone]:
            self._ending.remove(interpreter)
            interpreter.close()

    def knows(self, process_id: int) -> bool:
        """Whether this process is one of these interpreters."""
        return any(one.process_id == process_id for one in (*self._waiting, *self._ending))

    def close(self) -> None:
        """Kill all, and return when they are gone."""
        self.end_all()
        deadline = time.monotonic() + _LEAVE_TIMEOUT
        while self._ending and time.monotonic() < deadline:
            time.sleep(0.002)
            self._reap()
