"""Runs a command on a terminal of its own, and tells what somebody in front of that would see."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping

import pyte

from tests.support.waiting import PATIENCE


class Terminal:
    """A command that runs on a terminal with so many columns and lines."""

    def __init__(self, *arguments: str, cwd: str, env: Mapping[str, str], columns: int = 80, lines: int = 40) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=10_000)
        self.received = b""
        self._stream = pyte.ByteStream(self.screen)
        self._process_id, self._descriptor = pty.fork()
        if self._process_id == 0:
            try:
                os.chdir(cwd)
                self._set_size(0, columns, lines)
                os.execve(sys.executable, [sys.executable, *arguments], {**env, "TERM": "xterm-256color"})  # noqa: S606
            finally:
                os._exit(70)

    @property
    def shown(self) -> str:
        """What stands on the screen now."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def text(self) -> str:
        """All that stands on the screen and above it."""
        above = ["".join(line[column].data for column in sorted(line)) for line in self.screen.history.top]
        return "\n".join([*(line.rstrip() for line in above), self.shown])

    def end(self) -> None:
        """End the command, if it runs yet, as whoever closes the window does."""
        with contextlib.suppress(OSError):
            os.kill(self._process_id, signal.SIGHUP)
            self.wait()

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as a window's user does."""
        self.screen.resize(lines, columns)
        self._set_size(self._descriptor, columns, lines)

    def type(self, text: str) -> None:
        """Type *text*, as a user does: a newline is the return key, ``\\x03`` a Ctrl-C."""
        os.write(self._descriptor, text.encode("utf-8"))

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Read until *condition* holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if not self._read() or time.monotonic() > deadline:
                raise AssertionError(f"waited in vain for {what}; on the screen is:\n{self.shown}")

    def wait(self) -> int:
        """Read to the end; gives the exit code."""
        while self._read():
            pass
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self._process_id, 0)[1])

    def _read(self) -> bool:
        readable, _, _ = select.select([self._descriptor], [], [], PATIENCE)
        try:
            data = os.read(self._descriptor, 65536) if readable else b""
        except OSError:  # nobody has the other end any more
            data = b""
        self.received += data
        self._stream.feed(data)
        return bool(data)

    @staticmethod
    def _set_size(descriptor: int, columns: int, lines: int) -> None:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
