"""Finds out whether a process can be forked after what it has imported."""

from __future__ import annotations

import gc
import os
import stat
import sys

from isolatedunit.child import cleanup
from isolatedunit.child.reaper import have_children
from isolatedunit.child.receipt import save_lines
from isolatedunit.model.variables import SLOT_VARIABLE
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

try:
    import fcntl
except ImportError:  # not POSIX, where nothing forks
    fcntl = None  # type: ignore[assignment]


_OF_TEMPLATES: tuple[tuple[Any, ...], ...] = (
    ("os.fork",),
    ("fcntl.fcntl", 0, getattr(fcntl, "F_DUPFD_CLOEXEC", 0), 0),
    ("os.listdir", "/proc"),
    ("os.putenv", SLOT_VARIABLE.encode(), b"1"),
)
"""What a template does for each child, as an audit hook hears it. A hook may refuse any of it, as it may refuse all."""


def open_channels() -> set[int]:
    """List the descriptors of this process that are sockets or pipes: what forks read from one, the others miss."""
    try:
        descriptors = [int(name) for name in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")]
    except BaseException:  # an audit hook of the module's may refuse it
        return set()
    return {one for one in descriptors if _is_of(one, stat.S_ISSOCK) or _is_of(one, stat.S_ISFIFO)}


def _is_of(descriptor: int, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def what_forbids_any_fork() -> str | None:
    """Say what user code left in this process so that it cannot be a template; None if there is nothing."""
    try:
        for event, *arguments in _OF_TEMPLATES:
            sys.audit(event, *arguments)
    except BaseException:
        return f"an audit hook that refuses {event}"
    return cleanup.what_a_fork_loses()


def what_forbids_forking(open_before: set[int]) -> str | None:
    """Say what the import left behind that forbids a fork, or that one would share or lose; None if nothing does."""
    lost = what_forbids_any_fork()
    if lost is not None:
        return lost
    if have_children():
        children = [processes.describe_process(child) for child in processes.children_of_this_process()]
        return f"a child process running ({', '.join(child['command'] or str(child['pid']) for child in children)})"
    opened = open_channels() - open_before
    if any(_is_of(one, stat.S_ISSOCK) for one in opened):
        return "a socket open (an event loop that is not closed has one, too)"
    return "a pipe open (executors and queues of multiprocessing have one, too)" if opened else None


def finish_import() -> None:
    """Do once, after what a template has imported since ``gc.freeze``, what each of its forks would have to do."""
    save_lines()  # what this finds out about the files so far, no fork has to find out again
    gc.collect()  # of these objects only; looking at older ones would copy their pages
    gc.unfreeze()
