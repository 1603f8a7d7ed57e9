"""Each child is a fresh interpreter. This works everywhere, and costs the time that an interpreter takes to start.

Where that time costs nothing, interpreters are started before they are needed: see `isolatedunit.engine.prespawn`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import Backend, ChildSpec, Prespawns, Setting
from isolatedunit.backends.interpreter import job_of, kill_interpreter
from isolatedunit.backends.lean_start import IS_LEAN
from isolatedunit.backends.spawn.idle_pool import IdlePool, Interpreter
from isolatedunit.backends.spawn.orphan_reaper import OrphanReaper
from isolatedunit.errors import SpawnError
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import ExitStatus, Output, SpawnInfo
from isolatedunit.model.start_methods import capabilities_of
from isolatedunit.protocol.child_settings import ChildSettings
from isolatedunit.protocol.messages import Report
from isolatedunit.system import processes
from isolatedunit.system.grace import LEFTOVER_GRACE, WAITS, Grace, leftover_grace, times_waited
from isolatedunit.system.stacks import ask_for_stacks

if TYPE_CHECKING:
    from isolatedunit.system.jobs import Job

START_METHOD = "spawn"

_LOOK_INTERVAL = 0.02
"""Seconds between two looks at a child that has ended, or whose end this system does not announce."""

_RUNNING_INTERVAL = 0.1
"""Seconds between two looks at a child that runs, since no sentinel shows all: it may have stopped to be traced by its
parent, or its orphans may have ended."""


_CLOCK_TOLERANCE = 0.1
"""Seconds by which the system's note of when a process started may differ from the clock."""

_HEADROOM, _INTERPRETER_SIZE = 2, 64 * 1024 * 1024
"""How many times its limits a test's Job Object has on Windows, and the bytes that an interpreter needs besides."""


class SpawnBackend(Prespawns):
    """Makes children that are fresh interpreters."""

    capabilities = capabilities_of(START_METHOD)

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._count = 0
        self._children: set[SpawnChild] = set()
        self._was_subreaper = processes.become_subreaper(True)
        self._orphan_reaper = OrphanReaper(setting)
        self._idle_pool = IdlePool()
        self._strays: dict[int, set[int]] = {}
        self._reaps_next_at = 0.0

    def spawn(self, spec: ChildSpec) -> SpawnChild:
        """Send its work to an interpreter that waits for some, or else to a new one; raises `SpawnError`."""
        interpreter = self._idle_pool.take() or self._start(spec.attempt)
        interpreter.capture.label = spec.label
        child = SpawnChild(self, interpreter, spec.command.settings)
        self._children.add(child)
        interpreter.channel.send(spec.command)
        return child

    def _start(self, mark: str) -> Interpreter:
        self._count += 1
        return Interpreter(self._setting, Capture(self._setting, str(self._count)), mark, self._orphan_reaper)

    @property
    def prespawned(self) -> int:
        """How many interpreters wait for work."""
        return len(self._idle_pool)

    def processes(self) -> list[int]:
        """The children, and the interpreters that wait for work."""
        return [*(child.known_id for child in self._children), *self._idle_pool.process_ids]

    def prespawn(self) -> None:
        """Start an interpreter that will wait for work.

        What fails here is not reported: the child that needs the interpreter will run into it again.
        """
        if IS_LEAN:
            try:
                self._idle_pool.add(self._start(f"{self._setting.run}/ahead#{self._count + 1}"))
            except SpawnError:
                pass

    def end_prespawned(self) -> None:
        """End the interpreters that wait for work."""
        self._idle_pool.end_all()

    def renew_files(self) -> None:
        """End the interpreters that wait for work: they opened their files when they started."""
        self._idle_pool.end_all()

    def forget(self, child: SpawnChild) -> None:
        """The child has been closed."""
        self._children.discard(child)
        for stray, suspects in list(self._strays.items()):
            suspects.discard(child.known_id)
            if not suspects:
                self._end_stray(stray)

    def is_stray_of(self, child: SpawnChild, process_id: int) -> bool:
        """Whether this child must have left behind an orphan that has a session and an environment of its own.

        Nothing about such an orphan says whose it is. If several children run, it may be any of theirs, and it is ended
        once all of them are gone. In a process that is not the runner's alone, it may be somebody else's altogether.
        """
        if not processes.owns_process or process_id in self._strays:
            return False
        sessions = {one.known_id for one in self._children}
        if processes.is_in_run(process_id, self._setting.run, sessions):
            return False
        if sessions == {child.known_id} and child.may_have_started(process_id):
            return True
        if not processes.has_ended(process_id):
            self._strays[process_id] = sessions
        return False

    def _end_stray(self, process_id: int) -> None:
        del self._strays[process_id]
        if processes.reap(process_id) is None:
            command = processes.describe_process(process_id)["command"]
            self._setting.warn(
                f"one of several tests that ran at the same time left a process behind, with its own session and "
                f"environment: {command} (process {process_id}); it was killed"
            )
            below = processes.processes_below(process_id)
            processes.send_signal(process_id, processes.SIGKILL)
            processes.kill_all(below)

    def reap_orphans(self, now: float) -> None:
        """Reap the orphans of tests that have ended, as process 1 does where there is no subreaper; not at every call.

        A test may wait for the end of one: until somebody has reaped it, its id is taken. A program that runs tests
        has children of its own, which are not touched.
        """
        if now < self._reaps_next_at:
            return
        self._reaps_next_at = now + _RUNNING_INTERVAL
        for process_id in processes.children_of_this_process():
            if self.is_known(process_id):
                continue
            owner = next((child for child in self._children if child.owns(process_id)), None)
            if owner is not None:
                owner.reap(process_id)
            elif processes.owns_process and processes.reap(process_id) is not None:
                self._strays.pop(process_id, None)

    def is_known(self, process_id: int) -> bool:
        """Whether the runner has started this process, so that no child can have left it behind."""
        if process_id in processes.unreaped or process_id == self._orphan_reaper.process_id:
            return True
        if self._idle_pool.knows(process_id):
            return True
        return any(child.known_id == process_id for child in self._children)

    def close(self) -> None:
        """End everything that is left, and return when it is gone."""
        for child in list(self._children):
            child.kill()
        self._idle_pool.close()
        deadline = time.monotonic() + 5.0
        while self._children and time.monotonic() < deadline:
            for child in list(self._children):
                child.look(NEVER)
                if child.status is not None:
                    child.close()
            time.sleep(0.002)
        for stray in list(self._strays):
            self._end_stray(stray)
        self._orphan_reaper.close()
        processes.become_subreaper(self._was_subreaper)


class SpawnChild:
    """One fresh interpreter."""

    def __init__(self, backend: SpawnBackend, interpreter: Interpreter, settings: ChildSettings) -> None:
        self.channel = interpreter.channel
        self.process_id: int | None = None
        self.known_id = interpreter.process_id
        self._began_at = time.time()
        self.sentinel = interpreter.process.sentinel
        self.look_again_at = time.monotonic() + _RUNNING_INTERVAL if self.sentinel is not None else 0.0
        self.status: ExitStatus | None = None
        self.gone_at: float | None = None
        self.spawn_info = SpawnInfo(START_METHOD)
        self._backend = backend
        self._interpreter = interpreter
        self._process = interpreter.process
        self._capture = interpreter.capture
        self._job = job_of(interpreter.process)
        self._cleanup_timeout = settings.cleanup_timeout
        self._grace: Grace | None = None
        self._used_by_orphans = 0.0
        self._leftovers: dict[int, dict[str, Any]] = {}
        self._seen: set[int] = set()
        self._ended: ExitStatus | None = None
        if self._job is not None:
            self._limit(self._job, settings.memory_limit, settings.max_processes)

    def _limit(self, job: Job, memory: int | None, count: int | None) -> None:
        """Have Windows stop what grows faster than the runner looks, which says what the test exceeded."""
        job.limit(
            memory=None if memory is None else _HEADROOM * memory + _INTERPRETER_SIZE,
            processes=None if count is None else _HEADROOM * count,
        )

    def look(self, now: float) -> list[Report]:
        """Set `status` once the process and everything that it left behind are gone; returns no news."""
        if self._ended is None:
            exit_code = self._process._popen.poll()
            if exit_code is None:
                self.look_again_at = now + (_RUNNING_INTERVAL if self.sentinel is not None else _LOOK_INTERVAL)
                self._backend.reap_orphans(now)
                return []
            self._ended = self._describe_end(exit_code)
            self.sentinel = None
            longest = leftover_grace(self._cleanup_timeout)
            self._grace = Grace(LEFTOVER_GRACE, longest, lambda: times_waited(self._seen, ready=WAITS))
        orphans = self._orphans() if self._job is None else self._job.process_ids
        if not orphans:
            self.status = ExitStatus(
                self._ended.exit_code,
                self._ended.signal,
                self._cpu_time(self._ended),
                None,  # the kernel starts counting at the size of this process; the child reports its own peak
                tuple(self._leftovers.values()),
            )
        elif self._grace is not None and self._grace.is_over():
            for orphan in orphans:
                self._leftovers.setdefault(orphan, processes.describe_process(orphan))
            if self._job is not None:
                self._job.terminate()
            else:
                for orphan in orphans:
                    processes.send_signal(orphan, processes.SIGKILL)
        self.look_again_at = now + _LOOK_INTERVAL
        return []

    def _describe_end(self, exit_code: int) -> ExitStatus:
        if getattr(self._process._popen, "is_lost", False):
            return ExitStatus()
        usage = getattr(self._process._popen, "usage", None)
        cpu_time = None if usage is None else usage.ru_utime + usage.ru_stime
        return processes.describe_end(exit_code, cpu_time)

    def _cpu_time(self, ended: ExitStatus) -> float | None:
        if self._job is not None:
            return self._job.cpu_time
        return None if ended.cpu_time is None else ended.cpu_time + self._used_by_orphans

    def _orphans(self) -> list[int]:
        """The processes that the child left behind and that still run. Those that have ended are waited for."""
        found = []
        for process_id in processes.children_of_this_process():
            if self._backend.is_known(process_id):
                continue
            if (self.owns(process_id) or self._backend.is_stray_of(self, process_id)) and not self.reap(process_id):
                found.append(process_id)
        if not found and sys.platform != "linux" and processes.kill_group(self.known_id):
            self._leftovers.setdefault(0, {"pid": None, "command": "(in the test's process group)"})
        return found

    def may_have_started(self, process_id: int) -> bool:
        """Whether this process is not older than the child's work: then a child before this one has left it behind."""
        started = processes.started_at(process_id)
        return started is not None and started > self._began_at - _CLOCK_TOLERANCE

    def owns(self, process_id: int) -> bool:
        """Whether the child has left behind this process. Trap: one that has ended has no environment any more."""
        mark = self._interpreter.mark
        if process_id not in self._seen and processes.belongs_to(process_id, session=self.known_id, mark=mark):
            self._seen.add(process_id)
        return process_id in self._seen

    def reap(self, process_id: int) -> bool:
        """Reap this process, which the child has left behind, and remember it; False while it runs."""
        used = processes.reap(process_id)
        if used is None:
            self._seen.add(process_id)
            return False
        self._used_by_orphans += used
        self._seen.discard(process_id)
        return True

    def _runs(self) -> bool:
        """Whether the process is there: once somebody has waited for it, its id may be another process's."""
        return self._ended is None and self._process._popen.poll() is None

    def nudge(self) -> bool:
        """Ask for a heartbeat; False if the child sleeps in the kernel."""
        return not self._runs() or processes.nudge(self.known_id)

    def dump_stacks(self) -> None:
        """Have every thread write its stack, even if the process was stopped."""
        if self._runs():
            ask_for_stacks(self.known_id)

    def terminate(self) -> None:
        """Ask the child to end."""
        if self._runs():
            processes.terminate_group(self.known_id)

    def kill(self) -> None:
        """Kill the child and everything below it."""
        if self._runs():
            below = [] if self._job is not None else processes.processes_below(self.known_id)
            kill_interpreter(self._process)
            processes.kill_all(below)

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """The output, cut at these sizes, and the stacks."""
        return self._capture.read(cuts)

    def read_more(self, seen: dict[str, int]) -> list[tuple[str, str]]:
        """The output beyond the bytes that *seen* counts; updates *seen*."""
        return self._capture.read_more(seen)

    def processes(self) -> list[int]:
        """The ids of the child and of all processes below it; empty once it has ended."""
        if self._ended is not None:
            return []
        if self._job is not None:
            return [self.known_id, *(one for one in self._job.process_ids if one != self.known_id)]
        return [self.known_id, *(one.pid for one in processes.processes_below(self.known_id))]

    def written(self) -> int:
        """How many bytes are in its files."""
        return self._capture.size

    def close(self) -> None:
        """Release the process, and remove its files."""
        self._interpreter.close()
        self._backend.forget(self)


def open_backend(setting: Setting) -> Backend:
    """As `isolatedunit.backends.registry` has it."""
    return SpawnBackend(setting)
