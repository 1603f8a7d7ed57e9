"""Each child is an interpreter that `subprocess` starts: the least that a backend has to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import multiprocess

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import Backend, ChildSpec, Setting
from isolatedunit.backends.interpreter import prepare, program_of
from isolatedunit.errors import SpawnError
from isolatedunit.model.results import ExitStatus, Output, SpawnInfo
from isolatedunit.model.start_methods import capabilities_of
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import Report
from isolatedunit.system import processes

LOOK_INTERVAL = 0.01
"""Seconds between two looks whether a child has ended."""


class ToyBackend(Backend):
    """Makes children with `subprocess`."""

    capabilities = capabilities_of("toy")

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._children: list[ToyChild] = []

    def spawn(self, spec: ChildSpec) -> ToyChild:
        """Start an interpreter and send it its work; raises `SpawnError`."""
        child = ToyChild(self._setting, f"toy{len(self._children)}", spec)
        self._children.append(child)
        return child

    def renew_files(self) -> None:
        """Every child has files of its own."""

    def close(self) -> None:
        """Kill what still runs, and wait for it."""
        for child in self._children:
            child.kill()
            child.wait()


class ToyChild:
    """One interpreter, in a session of its own."""

    def __init__(self, setting: Setting, name: str, spec: ChildSpec) -> None:
        self.process_id: int | None = None
        self.sentinel = None
        self.look_again_at = 0.0
        self.status: ExitStatus | None = None
        self.gone_at: float | None = None
        self.spawn_info = SpawnInfo("toy")
        self._capture = Capture(setting, name)
        ours, theirs = multiprocess.Pipe()
        self.channel = Channel(ours)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", program_of(theirs.fileno(), "worker")],
                pass_fds=[theirs.fileno()],
                env={**os.environ, processes.RUN_VARIABLE: processes.add_mark(spec.attempt)},
                start_new_session=True,
            )
        except OSError as exception:
            self.channel.close()
            raise SpawnError(f"no interpreter could be started: {exception}") from exception
        finally:
            theirs.close()
        prepare(self.channel, setting, "worker", self._capture.paths)
        self.channel.send(spec.command)

    def look(self, now: float) -> list[Report]:
        """Set `status` once the process has ended."""
        exit_code = self._process.poll()
        if exit_code is not None:
            self.status = processes.describe_end(exit_code)
            processes.kill_group(self._process.pid)
        self.look_again_at = now + LOOK_INTERVAL
        return []

    def nudge(self) -> bool:
        """Ask for a heartbeat; False if the child sleeps in the kernel."""
        return self.status is not None or processes.nudge(self._process.pid)

    def dump_stacks(self) -> None:
        """Have every thread write its stack."""
        if processes.DUMP_STACKS is not None:
            self._process.send_signal(processes.DUMP_STACKS)

    def terminate(self) -> None:
        """Ask the child to end."""
        self._process.terminate()

    def kill(self) -> None:
        """Kill the child and everything below it."""
        below = processes.processes_below(self._process.pid)
        self._process.send_signal(signal.SIGKILL)
        processes.kill_all(below)

    def wait(self) -> None:
        """Return when the process is gone."""
        while self._process.poll() is None:
            time.sleep(LOOK_INTERVAL)

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """The output, cut at these sizes, and the stacks."""
        return self._capture.read(cuts)

    def read_more(self, seen: dict[str, int]) -> list[tuple[str, str]]:
        """The output beyond the bytes that *seen* counts; updates *seen*."""
        return self._capture.read_more(seen)

    def processes(self) -> list[int]:
        """The ids of the child and of all processes below it."""
        if self._process.poll() is not None:
            return []
        return [self._process.pid, *(one.pid for one in processes.processes_below(self._process.pid))]

    def written(self) -> int:
        """How many bytes are in its files."""
        return self._capture.size

    def close(self) -> None:
        """Close the Connection, and remove the files."""
        self.channel.close()
        self._capture.remove()


def open_backend(setting: Setting) -> Backend:
    """As `isolatedunit.backends.registry` has it."""
    return ToyBackend(setting)
