"""The destination of a report that is written during the run: a file, a pipe or standard output."""

from __future__ import annotations

import errno
import os
import queue
import select
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

TIMEOUT = 30.0
"""Seconds without progress, at the end of a run, after which the reader of a pipe counts as gone."""

LOOK_INTERVAL = 0.5
"""Seconds between two looks for the reader of a pipe, while there is nothing to write."""

_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)


class Outlet:
    """Takes bytes and writes each piece at once; `close` raises if not all of it could be written.

    Files are written directly. A pipe or a terminal may be slow, or have no reader, which must not hold up the run,
    so a thread writes to it. ``-`` is standard output. If a piece cannot be written, the rest of the report is
    dropped; nothing is raised before `close`. That thread calls *on_reader_gone* as soon as a pipe has no reader any
    more.
    """

    def __init__(
        self, path: str, timeout: float = TIMEOUT, *, on_reader_gone: Callable[[], object] | None = None
    ) -> None:
        self._path = path
        self._on_reader_gone = on_reader_gone
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
        """Write *data*: now, or soon if that may take a while."""
        if self._problem is not None:
            return
        if self._pieces is not None:
            self._pieces.put(data)
        else:
            self._try(self._put, data)

    def close(self) -> None:
        """Write what is left, and close; raises `OSError` if anything could not be written."""
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
        """Write the pieces, as the thread."""
        assert self._pieces is not None
        self._try(self._open)
        interval = None if self._on_reader_gone is None else LOOK_INTERVAL
        while self._problem is None:
            try:
                data = self._pieces.get(timeout=interval)
            except queue.Empty:
                self._try(self._look_for_reader)
                continue
            if data is None:
                break
            self._try(self._put, data)
        self._release()
        if isinstance(self._problem, BrokenPipeError) and self._on_reader_gone is not None:
            self._on_reader_gone()

    def _look_for_reader(self) -> None:
        if self._descriptor is not None and hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._descriptor, 0)
            if any(events & select.POLLERR for _, events in poll.poll(0)):
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def _try(self, action: Callable[..., object], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as exception:  # also ValueError, from a closed standard output
            self._problem = exception

    def _open(self) -> None:
        if self._path != "-":
            self._descriptor = os.open(self._path, _OPEN_FLAGS, 0o600)
            if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                with suppress(OSError):  # a writable file that somebody else owns
                    os.fchmod(self._descriptor, 0o600)
            return
        sys.stdout.flush()
        try:
            self._descriptor = os.dup(sys.stdout.fileno())
        except (OSError, ValueError):  # a program has replaced it
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
    """Whether writing to *path* may have to wait for a reader."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode if path == "-" else os.stat(path).st_mode
    except (OSError, ValueError, AttributeError):
        return False  # it does not exist yet, or the system does not know it
    return not stat.S_ISREG(mode)
