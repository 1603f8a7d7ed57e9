"""Where a child's output goes: capture files, stack dumps, and descriptors kept away from tests."""

from __future__ import annotations

import faulthandler
import io
import os
import sys

from isolatedunit.errors import NoDebugger
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    import fcntl
except ImportError:  # not POSIX; its descriptors are not inherited unless asked for
    fcntl = None  # type: ignore[assignment]


_HIGH_DESCRIPTOR = 100
"""The lowest number of our own descriptors, out of the way of tests that count or close theirs."""


def take_capture(capture: dict[str, str]) -> int | None:
    """Send this process's output and stacks to the files named in *capture*; returns the descriptor for the stacks."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if name in capture:
            redirect(open_capture(capture[name]), descriptor)
    if "stacks" not in capture:
        return None
    stacks = move_out_of_the_way(open_capture(capture["stacks"]))
    dump_stacks_to(stacks)
    return stacks


def refuse_breakpoint(*args: Any, **values: Any) -> Any:
    """Take the place of Python's hook for ``breakpoint()``: its debugger would read standard input, which is empty.

    With PYTHONBREAKPOINT the user has chosen another one, or none. Raises `NoDebugger`.
    """
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*args, **values)
    raise NoDebugger("breakpoint(): this process has no terminal; run the test with --debug, which hands it yours")


def redirect(source: int, target: int) -> None:
    """Make the descriptor *target* refer to what *source* does, and close *source*."""
    if source != target:
        os.dup2(source, target)
        os.close(source)


def open_capture(path: str) -> int:
    """Open a file that several processes may write to at once."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def move_out_of_the_way(descriptor: int) -> int:
    """Move the descriptor to a high number that no child of this process inherits."""
    if fcntl is None:
        return descriptor
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR)
    except OSError:  # the limit of descriptors is too low
        os.set_inheritable(descriptor, False)
        return descriptor
    os.close(descriptor)
    return moved


def duplicate(descriptor: int) -> int:
    """Duplicate the descriptor under a high number; returns the descriptor itself if that is impossible."""
    if fcntl is not None:
        try:
            return int(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR))
        except BaseException:  # the limit of descriptors is too low, a fixture closed this one, an audit hook refuses
            pass
    return descriptor


def write_through() -> None:
    """Make the standard streams unbuffered: what was written just before a crash explains it."""
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
    """Have all threads' stacks written to *descriptor* at a crash, and at the signal `processes.DUMP_STACKS`."""
    faulthandler.enable(descriptor)
    if processes.DUMP_STACKS is not None and hasattr(faulthandler, "register"):
        faulthandler.register(processes.DUMP_STACKS, descriptor, all_threads=True)


def close(*descriptors: int | None) -> None:
    """Close the descriptors that are given, and that no fixture has closed already."""
    for descriptor in descriptors:
        if descriptor is not None:
            try:
                os.close(descriptor)
            except OSError:
                continue
