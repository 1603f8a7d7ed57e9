"""The terminal that this process was started from."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def path_of_input() -> str | None:
    """A path by which another process can open this one's standard input; None if there is none."""
    try:
        if os.isatty(0):
            return os.ttyname(0) if sys.platform != "win32" else "CONIN$"
        path = f"/proc/{os.getpid()}/fd/0"
        return path if os.path.exists(path) else None
    except OSError:  # it is closed
        return None


@contextlib.contextmanager
def keeping_settings() -> Iterator[None]:
    """A context after which the terminal works as before, whatever a debugger that was killed has left it like."""
    try:
        import termios
    except ImportError:  # not POSIX
        yield
        return
    try:
        before = termios.tcgetattr(0)
    except termios.error:  # it is none
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def reading_keys() -> Iterator[None]:
    """A context in which standard input, if it is a terminal, has each key as soon as it is pressed, and shows none."""
    with keeping_settings():
        if os.name == "posix" and os.isatty(0):
            import tty

            tty.setcbreak(0)
        yield
