"""Each child is a fresh interpreter: works everywhere, and costs an interpreter's start.

That may be paid ahead, where it is cheap: see `isolatedunit.engine.prespawn`.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Collection, Sequence
from typing import Any

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import Child, ChildSpec, Setting
from isolatedunit.backends.interpreter import IS_LEAN
from isolatedunit.backends.spawn.idle_pool import IdlePool, Interpreter
from isolatedunit.backends.spawn.orphan_reaper import OrphanReaper
from isolatedunit.errors import SpawnError
from isolatedunit.model.results import ExitStatus, ImportsKey, Output, SpawnInfo
from isolatedunit.protocol.messages import Report
from isolatedunit.system import processes

_LOOK_INTERVAL = 0.02
_STOPPED_INTERVAL = 0.5
"""Seconds between two looks whether a child has stopped, to be traced by this process: nothing else tells that."""

_NEVER = float("inf")


class SpawnBackend:
    """Makes children that are fresh interpreters."""

    name = "spawn"
    takes_orders = False

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._count = 0
        self._children: set[SpawnChild] = set()
        self._was_subreaper = processes.become_subreaper(True)
        self._orphan_reaper = OrphanReaper(setting)
        self._idle_pool = IdlePool()
        self._strays: dict[int, set[int]] = {}

    def spawn(self, spec: ChildSpec) -> SpawnChild:
        """Send its work to an interpreter that waits, or else to a new one; raises `SpawnError`."""
        interpreter = self._idle_pool.take() or self._start(spec.attempt)
        child = SpawnChild(self, interpreter, getattr(spec.command, "settings", {}).get("cleanup_timeout"))
        self._children.add(child)
        interpreter.channel.send(spec.command)
        return child

    def order(self, spec: ChildSpec, after: Child) -> bool:
        """What an interpreter's start costs can be paid ahead, where that is cheap: see `start_ahead`."""
        return False

    def withdraw(self, spec: ChildSpec) -> None:
        """None is ordered."""

    def pids_with_successor(self) -> list[int]:
        """Nor does anything begin by itself."""
        return []

    def _start(self, mark: str) -> Interpreter:
        self._count += 1
        return Interpreter(self._setting, Capture(self._setting, str(self._count)), mark, self._orphan_reaper)

    @property
    def waiting(self) -> int:
        """How many interpreters wait for work."""
        return len(self._idle_pool)

    def processes(self) -> list[int]:
        """The children, and the interpreters that wait."""
        return [*(child.known_id for child in self._children), *self._idle_pool.process_ids]

    def start_ahead(self) -> None:
        """Start an interpreter that waits for its work; where that fails, who needs it will meet it again."""
        if IS_LEAN:
            try:
                self._idle_pool.add(self._start(f"{self._setting.run}/ahead#{self._count + 1}"))
            except SpawnError:
                pass

    def prepare(self, shared_imports: Collection[ImportsKey]) -> None:
        """Each interpreter imports for itself."""

    def end_waiting(self) -> None:
        """End the interpreters that wait."""
        self._idle_pool.end_all()

    def renew_files(self) -> None:
        """Those that wait have opened theirs."""
        self._idle_pool.end_all()

    def forget(self, child: SpawnChild) -> None:
        """The child is gone."""
        self._children.discard(child)
        for stray, suspects in list(self._strays.items()):
            suspects.discard(child.known_id)
            if not suspects:
                self._end_stray(stray)

    def is_stray_of(self, child: SpawnChild, process_id: int) -> bool:
        """Whether an orphan with a session and an environment of its own must be what this child left behind.

        Where several run it can be anybody's: it is ended when none of them is there any more. In a process that is
        not the runner's alone there may be others' orphans.
        """
        if not processes.owns_process or process_id in self._strays:
            return False
        sessions = {one.known_id for one in self._children}
        if processes.is_in_run(process_id, self._setting.run, sessions):
            return False
        if sessions == {child.known_id}:
            return True
        if not processes.has_ended(process_id):
            self._strays[process_id] = sessions
        return False

    def _end_stray(self, process_id: int) -> None:
        del self._strays[process_id]
        if processes.reap(process_id) is None:
            command = processes.describe_process(process_id)["command"]
            self._setting.warn(
                f"one of several tests that ran at the same time left behind: a process, {command} (process "
                f"{process_id}), with a session and an environment of its own; it was ended."
            )
            below = processes.processes_below(process_id)
            processes.send_signal(process_id, processes.SIGKILL)
            processes.kill_all(below)

    def is_known(self, process_id: int) -> bool:
        """Whether this is a child of ours, and not what one left behind."""
        if process_id == self._orphan_reaper.process_id or self._idle_pool.knows(process_id):
            return True
        return any(child.known_id == process_id for child in self._children)

    def close(self) -> None:
        """End what is left."""
        for child in list(self._children):
            child.kill()
        self._idle_pool.close()
        deadline = time.monotonic() + 5.0
        while self._children and time.monotonic() < deadline:
            for child in list(self._children):
                child.look(_NEVER)
                if child.status is not None:
                    child.close()
            time.sleep(0.002)
        for stray in list(self._strays):
            self._end_stray(stray)
        self._orphan_reaper.close()
        processes.become_subreaper(self._was_subreaper)


class SpawnChild:
    """One fresh interpreter."""

    def __init__(self, backend: SpawnBackend, interpreter: Interpreter, cleanup_timeout: float | None) -> None:
        self.channel = interpreter.channel
        self.process_id: int | None = None
        self.known_id = interpreter.process_id
        self.sentinel = interpreter.process.sentinel
        self.look_again_at = time.monotonic() + _STOPPED_INTERVAL if self.sentinel is not None else 0.0
        self.status: ExitStatus | None = None
        self.gone_at: float | None = None
        self.spawn_info = SpawnInfo("spawn")
        self._backend = backend
        self._interpreter = interpreter
        self._process = interpreter.process
        self._capture = interpreter.capture
        self._cleanup_timeout = cleanup_timeout
        self._grace_until: float | None = None
        self._used_by_orphans = 0.0
        self._leftovers: dict[int, dict[str, Any]] = {}
        self._seen: set[int] = set()
        self._ended: ExitStatus | None = None

    def look(self, now: float) -> list[Report]:
        """Sets `status` when the process is gone and nothing that it left behind is there any more."""
        if self._ended is None:
            exit_code = self._process._popen.poll()
            if exit_code is None:
                self.look_again_at = now + (_STOPPED_INTERVAL if self.sentinel is not None else _LOOK_INTERVAL)
                return []
            self._ended = self._describe_end(exit_code)
            self.sentinel = None
            self._grace_until = now + processes.leftover_grace(self._cleanup_timeout)
        orphans = self._orphans()
        if not orphans:
            self.status = ExitStatus(
                self._ended.exit_code,
                self._ended.signal,
                None if self._ended.cpu_time is None else self._ended.cpu_time + self._used_by_orphans,
                None,  # the kernel's figure begins with our own size; the child tells its own
                tuple(self._leftovers.values()),
            )
        elif self._grace_until is not None and now >= self._grace_until:
            for orphan in orphans:
                self._leftovers.setdefault(orphan, processes.describe_process(orphan))
                processes.send_signal(orphan, processes.SIGKILL)
        self.look_again_at = now + _LOOK_INTERVAL
        return []

    def _describe_end(self, exit_code: int) -> ExitStatus:
        usage = getattr(self._process._popen, "usage", None)
        cpu_time = None if usage is None else usage.ru_utime + usage.ru_stime
        return processes.describe_end(exit_code, cpu_time)

    def _orphans(self) -> list[int]:
        """The processes that the child left behind; waits for those that have ended since."""
        found = []
        for process_id in processes.children_of_this_process():
            if self._backend.is_known(process_id):
                continue
            # one that has ended has no environment any more
            if not (
                process_id in self._seen
                or processes.belongs_to(process_id, session=self.known_id, mark=self._interpreter.mark)
                or self._backend.is_stray_of(self, process_id)
            ):
                continue
            used = processes.reap(process_id)
            if used is None:
                found.append(process_id)
                self._seen.add(process_id)
            else:
                self._used_by_orphans += used
                self._seen.discard(process_id)
        if not found and sys.platform != "linux" and processes.kill_group(self.known_id):
            self._leftovers.setdefault(0, {"pid": None, "command": "(in the test's process group)"})
        return found

    def nudge(self) -> bool:
        """Ask for a heartbeat, unless the child sleeps."""
        return self._ended is not None or processes.nudge(self.known_id)

    def dump_stacks(self) -> None:
        """Have every thread write its stack, also of a process that was stopped."""
        if processes.DUMP_STACKS is not None:
            self._signal(getattr(signal, "SIGCONT", 0))
            self._signal(processes.DUMP_STACKS)

    def terminate(self) -> None:
        """Ask the child to end."""
        if self._ended is None:
            processes.terminate_group(self.known_id)

    def kill(self) -> None:
        """End the child and everything below it."""
        if self._ended is None:
            below = processes.processes_below(self.known_id)
            self._signal(processes.SIGKILL)
            processes.kill_group(self.known_id)
            processes.kill_all(below)

    def _signal(self, signal_number: int) -> None:
        # not waited for yet, so its id is still its own
        if self._ended is None:
            processes.send_signal(self.known_id, signal_number)

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """What was written."""
        return self._capture.read(cuts)

    def read_more(self, told: dict[str, int]) -> list[tuple[str, str]]:
        """What was written since."""
        return self._capture.read_more(told)

    def processes(self) -> list[int]:
        """The child and all below it."""
        if self._ended is not None:
            return []
        return [self.known_id, *(one.pid for one in processes.processes_below(self.known_id))]

    def written(self) -> int:
        """What is in its files."""
        return self._capture.size

    def close(self) -> None:
        """Let go of the process and its files."""
        self._interpreter.close()
        self._backend.forget(self)
