"""What the tests in ``tests/beyond`` need: permission to take their time, and a Dask cluster of two workers."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from typing import Any

import psutil

from tests.support.command_line import environment
from tests.support.waiting import wait_until

VARIABLE = "TESTS_BEYOND"
BEYOND = os.environ.get(VARIABLE) == "1"
"""Whether tests that try many of a kind are to try all of them; ``.ci/run`` has them try a chosen few of each."""


def needs(*, modules: Sequence[str] = (), commands: Sequence[str] = (), root: bool = False) -> Any:
    """Skip a class of heavy tests, with the reason, unless it was asked for and this machine has what it needs."""
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    lacking += [name for name in commands if shutil.which(name) is None]
    if not BEYOND:
        return unittest.skip(f".ci/beyond runs it; {VARIABLE}=1 does so here")
    if lacking:
        return unittest.skip(f"{', '.join(lacking)} is missing here")
    return unittest.skipIf(root and (not hasattr(os, "geteuid") or os.geteuid() != 0), "only root may do this")


class DaskCluster:
    """A scheduler and two workers with a thread each, as processes on this machine; *run_in* begins each command."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.folder = tempfile.mkdtemp()
        self.mark = os.path.basename(self.folder)
        self._file = os.path.join(self.folder, "scheduler.json")
        self._log = open(os.path.join(self.folder, "log"), "wb")  # noqa: SIM115 - closed in `close`
        self._settings = settings or {}
        self._started: list[subprocess.Popen[Any]] = []

    def start(self, *, run_in: Sequence[str] = (), host: str = "127.0.0.1") -> None:
        """Start the scheduler, and wait for it."""
        self._start("dask_scheduler", "--port", "0", "--scheduler-file", self._file, "--host", host, run_in=run_in)
        wait_until(lambda: os.path.exists(self._file) and os.path.getsize(self._file), "the scheduler")

    def add_worker(self, name: str, *more: str, run_in: Sequence[str] = (), host: str = "127.0.0.1") -> psutil.Process:
        """Start a worker under a nanny, and return the nanny."""
        nanny = self._start(
            *("dask_worker", self.address, "--name", name, "--nthreads", "1", "--host", host),
            *("--local-directory", self.folder, *more),
            run_in=run_in,
        )
        return psutil.Process(nanny.pid)

    def _start(self, module: str, *arguments: str, run_in: Sequence[str] = ()) -> subprocess.Popen[Any]:
        command = [*run_in, sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments]
        process = subprocess.Popen(
            command,
            env={**environment(), **self._settings, "OF_CLUSTER": self.mark},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._started.append(process)
        return process

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        with open(self._file, encoding="utf-8") as file:
            return str(json.load(file)["address"])

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many workers are there."""
        from distributed import Client

        with Client(self.address, set_as_default=False, timeout="60s") as client:
            client.wait_for_workers(count, timeout=240)

    def processes(self) -> list[psutil.Process]:
        """All processes that the cluster has started, and those that these have started."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("OF_CLUSTER") == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                pass
        return found

    def batches(self) -> list[psutil.Process]:
        """The processes that run batches, and all of theirs."""
        return [one for one in self.processes() if "isolatedunit" in " ".join(_command_of(one))]

    def workers(self) -> list[psutil.Process]:
        """The workers themselves, which the nannies have started."""
        nannies = {process.pid for process in self._started}
        children = [one for one in self.processes() if _parent_of(one) in nannies]
        return [one for one in children if "spawn_main" in " ".join(_command_of(one))]

    def close(self) -> None:
        """End all that was started."""
        for process in [*self._started[1:], *self._started[:1]]:
            process.send_signal(signal.SIGKILL)
            process.wait()
        wait_until(self._end_rest, "the end of the cluster")
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_rest(self) -> bool:
        rest = self.processes()
        for process in rest:
            try:
                process.kill()
            except psutil.Error:
                pass
        return not rest


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _parent_of(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0
