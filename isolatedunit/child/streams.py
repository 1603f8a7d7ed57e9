"""Where a child's output goes: capture files, stack dumps, and descriptors kept away from tests."""

from __future__ import annotations

import faulthandler
import io
import os
import sys

from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    import fcntl
except ImportError:  # not POSIX; its descriptors are not inherited unless asked for
    fcntl = None  # type: ignore[assignment]


_HIGH_DESCRIPTOR = 100
"""Where our own descriptors begin, out of the way of tests that count or close theirs."""


def take_capture(capture: dict[str, str]) -> int | None:
    """Send this process's output, and its stacks, to the files that *capture* names.

    Returns the descriptor of the file for the stacks.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if name in capture:
            redirect(open_capture(capture[name]), descriptor)
    if "stacks" not in capture:
        return None
    stacks = move_out_of_the_way(open_capture(capture["stacks"]))
    dump_stacks_to(stacks)
    return stacks


def redirect(source: int, target: int) -> None:
    """Make *target* refer to what the descriptor *source* does, and close *source*."""
    if source != target:
        os.dup2(source, target)
        os.close(source)


def open_capture(path: str) -> int:
    """Open a file for output from several processes at once."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def move_out_of_the_way(descriptor: int) -> int:
    """Give the descriptor a high number, which no child of this process inherits."""
    if fcntl is None:
        return descriptor
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR)
    except OSError:  # too few descriptors allowed
        os.set_inheritable(descriptor, False)
        return descriptor
    os.close(descriptor)
    return moved


def duplicate(descriptor: int) -> int:
    """Another descriptor, with a high number, for what *descriptor* refers to; itself where there can be none."""
    if fcntl is not None:
        try:
            return int(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR))
        except OSError:  # too few descriptors allowed, or a fixture closed it
            pass
    return descriptor


def write_through() -> None:
    """Let nothing wait in a buffer: what was written before a crash is what explains it."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        raw: Any = io.FileIO(descriptor, "w", closefd=False)
        raw.name = f"<{name}>"
        stream: Any = io.TextIOWrapper(
            raw,
            encoding=getattr(old, "encoding", "utf-8"),
            errors="backslashreplace" if name == "stderr" else getattr(old, "errors", "strict"),
            write_through=True,
        )
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def dump_stacks_to(descriptor: int) -> None:
    """Write every thread's stack there at a crash, and whenever `resources.DUMP_STACKS` arrives."""
    faulthandler.enable(descriptor)
    if processes.DUMP_STACKS is not None and hasattr(faulthandler, "register"):
        faulthandler.register(processes.DUMP_STACKS, descriptor, all_threads=True)
