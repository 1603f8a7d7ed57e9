"""Finds out whether a process can be forked after what it has imported."""

from __future__ import annotations

import gc
import os
import stat
import sys

from isolatedunit.child import cleanup
from isolatedunit.child.reaper import have_children
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


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


def what_forbids_forking(open_before: set[int]) -> str | None:
    """Say what the import left behind that forbids a fork, or that one would share or lose; None if nothing does."""
    try:
        sys.audit("os.fork")  # as the fork itself does, which a hook may refuse like all else
    except BaseException:
        return "an audit hook that refuses to fork"
    lost = cleanup.what_a_fork_loses()
    if lost is not None:
        return lost
    if have_children():
        children = [processes.describe_process(child) for child in processes.children_of_this_process()]
        return f"a child process running ({', '.join(child['command'] or str(child['pid']) for child in children)})"
    opened = open_channels() - open_before
    if any(_is_of(one, stat.S_ISSOCK) for one in opened):
        return "a socket open (an event loop that is not closed has one, too)"
    return "a pipe open (executors and queues of multiprocessing have one, too)" if opened else None


def collect_new_garbage() -> None:
    """Collect what has become garbage since ``gc.freeze``; looking at older objects would copy their pages."""
    gc.collect()
    gc.unfreeze()
