"""Runs on a Dask worker: starts the process that runs a batch, and passes on what it reports.

It imports little, since it becomes part of a worker's own process.
"""

from __future__ import annotations

import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from distributed import Worker, get_worker
from distributed.utils import sync

from isolatedunit.executors.handshake import compare

INTERVAL = 0.05
"""Seconds for which lines are collected before they are sent."""

LONGEST_MESSAGE = 256 * 1024
"""Bytes in a message from which on it is sent at once."""

GRACE = 3.0
"""Seconds that the process of a batch may take to end after its lifeline was cut."""

_KEPT = 2000

_processes: dict[str, list[subprocess.Popen[bytes]]] = {}
"""The processes of batches, by the runs that they belong to."""

_told: dict[str, str] = {}
"""The last word that each run was told here: a batch may begin just after it."""

_compared: dict[str, str | None] = {}
"""For each run, what is not here as it should be."""


def check(run: str, expected: Mapping[str, Any]) -> str | None:
    """One sentence on what is not as *expected* on this worker; None if all is."""
    if run not in _compared:
        _compared[run] = compare(expected)
    return _compared[run]


def tell(run: str, word: str) -> None:
    """Pass a word on to all batches of the run that this worker runs."""
    _told[run] = word
    for process in list(_processes.get(run, ())):
        try:
            assert process.stdin is not None
            process.stdin.write(f"{word}\n".encode("ascii"))
            process.stdin.flush()
        except (OSError, ValueError):
            pass  # it has ended


def run_batch(run: str, batch: str, expected: Mapping[str, Any], work: bytes) -> dict[str, Any]:
    """Run a batch; returns how it ended, and how many messages there are about it.

    Dask runs a task again whose worker it has lost. What that one has done is not known here but to the driver, which
    knows what was reported, so this second try is refused.
    """
    worker = get_worker()
    if not _claim(worker, ["isolatedunit", run, batch]):
        return {"lost": "the worker that ran it is gone"}
    problem = check(run, expected)
    if problem is not None:
        return {"lost": problem, "mismatch": True}
    if run in _told:
        return {"lost": "the run begins no further test"}
    return _Batch(worker, run, batch, expected["directory"]).run(work)


def _claim(worker: Worker, keys: list[str]) -> bool:
    """Whether nobody else has begun this batch."""
    if sync(worker.loop, worker.scheduler.get_metadata, keys=keys, default=None) is not None:
        return False
    sync(worker.loop, worker.scheduler.set_metadata, keys=keys, value=worker.address)
    return True


class _Batch:
    """The process that runs a batch, as a task of *worker* sees it."""

    def __init__(self, worker: Worker, run: str, batch: str, directory: str) -> None:
        self._worker = worker
        self._key = worker.get_current_task()
        self._run = run
        self._batch = batch
        self._directory = directory
        self._incarnation = secrets.token_hex(4)
        self._sent = 0

    def run(self, work: bytes) -> dict[str, Any]:
        self._send(machine=socket.gethostname(), time=time.monotonic())
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "isolatedunit.executors.batch_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=self._directory,
                start_new_session=True,  # whoever stops the worker by Ctrl-C cuts the lifeline, and that is enough
            )
            _processes.setdefault(self._run, []).append(process)
            try:
                self._pass_on(process, work)
            finally:
                _processes[self._run].remove(process)
                _end(process)
            code = process.returncode
            errors.seek(0, os.SEEK_END)
            errors.seek(max(0, errors.tell() - _KEPT))
            said = errors.read().decode("utf-8", "replace").strip()
        how = {"incarnation": self._incarnation, "messages": self._sent}
        return how if code == 0 else {**how, "lost": f"its process ended with code {code}: {said or 'it said nothing'}"}

    def _pass_on(self, process: subprocess.Popen[bytes], work: bytes) -> None:
        assert process.stdin is not None and process.stdout is not None
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        try:
            process.stdin.write(work)
            process.stdin.flush()
        except OSError:
            pass  # it has ended, and what it wrote says why
        pieces: list[bytes] = []
        size, send_at = 0, 0.0
        while True:
            try:
                line = lines.get(timeout=INTERVAL)
            except queue.Empty:
                line = b""
            if line:
                if not pieces:
                    send_at = time.monotonic() + INTERVAL
                pieces.append(line)
                size += len(line)
            if pieces and (line is None or size >= LONGEST_MESSAGE or time.monotonic() >= send_at):
                self._send(lines=b"".join(pieces))
                pieces, size = [], 0
            if line is None or self._is_given_up:
                return

    @property
    def _is_given_up(self) -> bool:
        """Whether nobody wants the task any more: its client is gone, or this worker is about to end."""
        task = self._worker.state.tasks.get(self._key)
        is_wanted = task is not None and task.state in ("executing", "long-running")
        return not is_wanted or self._worker.status.name not in ("running", "paused")

    def _send(self, **values: Any) -> None:
        message = {"batch": self._batch, "incarnation": self._incarnation, "number": self._sent, **values}
        self._worker.log_event(topic_of(self._run), message)
        self._sent += 1


def topic_of(run: str) -> str:
    """The topic of the events of a run."""
    return f"isolatedunit-{run}"


def _read(file: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    for line in file:
        lines.put(line)
    lines.put(None)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Cut the lifeline of the process, and wait until it is gone."""
    assert process.stdin is not None
    try:
        process.stdin.close()
    except OSError:
        pass
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
