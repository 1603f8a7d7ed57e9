"""Where a report goes that is written as the run goes: a file, a pipe, standard output."""

from __future__ import annotations

import os
import queue
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

TIMEOUT = 30.0
"""Seconds without any progress after which the reader of a pipe is taken for gone, at the end of a run."""

_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)


class Outlet:
    """Takes bytes, and writes each piece at once; `close` tells whether all of it was written.

    A file is written to directly. A pipe or a terminal may be slow, or have nobody at its other end, which must not
    hold up the run: such a thing has a thread of its own. ``-`` is standard output. What cannot be written costs the
    rest of the report; nothing is raised before `close`.
    """

    def __init__(self, path: str, timeout: float = TIMEOUT) -> None:
        self._path = path
        self._timeout = timeout
        self._problem: Exception | None = None
        self._write: Callable[[bytes], object] | None = None
        self._descriptor: int | None = None
        self._pieces: queue.SimpleQueue[bytes | None] | None = None
        self._written = 0
        self._thread: threading.Thread | None = None
        if _may_block(path):
            self._pieces = queue.SimpleQueue()
            self._thread = threading.Thread(target=self._serve, name="isolatedunit-report", daemon=True)
            self._thread.start()
        else:
            self._try(self._open)

    def write(self, data: bytes) -> None:
        """Write *data*, now or, where that may take its time, soon."""
        if self._problem is not None:
            return
        if self._pieces is not None:
            self._pieces.put(data)
        else:
            self._try(self._put, data)

    def close(self) -> None:
        """Write what is left; raises `OSError` if anything could not be written."""
        if self._thread is not None and self._pieces is not None:
            self._pieces.put(None)
            self._wait_for(self._thread)
        else:
            self._release()
        problem, self._problem = self._problem, None
        if isinstance(problem, OSError):
            raise problem
        if problem is not None:
            raise OSError(str(problem)) from problem

    def _wait_for(self, thread: threading.Thread) -> None:
        written = -1
        while thread.is_alive() and written != self._written:
            written = self._written
            thread.join(self._timeout)
        if thread.is_alive() and self._problem is None:
            self._problem = TimeoutError(f"nothing has read from it for {self._timeout:g} s")

    def _serve(self) -> None:
        """The thread's work."""
        assert self._pieces is not None
        self._try(self._open)
        while self._problem is None:
            data = self._pieces.get()
            if data is None:
                break
            self._try(self._put, data)
        self._release()

    def _try(self, action: Callable[..., object], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as exception:  # also ValueError, of a standard output that is closed
            self._problem = exception

    def _open(self) -> None:
        if self._path != "-":
            self._descriptor = os.open(self._path, _OPEN_FLAGS, 0o600)
            if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                with suppress(OSError):  # somebody else's file, that may be written to
                    os.fchmod(self._descriptor, 0o600)
            return
        sys.stdout.flush()
        try:
            self._descriptor = os.dup(sys.stdout.fileno())
        except (OSError, ValueError):  # a program has put something else in its place
            self._write = lambda data: sys.stdout.write(data.decode("utf-8"))

    def _put(self, data: bytes) -> None:
        if self._write is not None:
            self._write(data)
        rest = memoryview(data)
        while rest and self._descriptor is not None:
            count = os.write(self._descriptor, rest)
            rest = rest[count:]
            self._written += count

    def _release(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._try(os.close, descriptor)


def _may_block(path: str) -> bool:
    """Whether writing there may have to wait for somebody."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode if path == "-" else os.stat(path).st_mode
    except (OSError, ValueError, AttributeError):
        return False  # not there yet, or nothing of the system's
    return not stat.S_ISREG(mode)
