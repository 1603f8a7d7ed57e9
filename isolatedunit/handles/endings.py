"""How each kind of handle is ended: called with the seconds that are left, returns False if it took force.

None means that it did not end, or that only the test itself knows how to end it; an exception means the same.
"""

from __future__ import annotations

import os

from isolatedunit.handles import processes, threads
from isolatedunit.system.processes import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isolatedunit.handles import descriptors

LONGEST_END = 10.0
"""Seconds that the end of a process may take."""

THREAD_GRACE = 0.5
"""Seconds that a cancelled timer gets to end."""

_lexists, _unlink = os.path.lexists, os.unlink  # trap: a test may patch these functions in their modules


def cannot_end(_: float) -> bool | None:
    """End nothing: only the test itself knows how to end this."""
    return None


class ProcessEnd:
    """Ends a process: SIGTERM, then SIGKILL."""

    def __init__(self, process_id: int) -> None:
        self._process_id = process_id

    def __call__(self, timeout: float) -> bool | None:
        gone, forced = processes.end([self._process_id], min(timeout, LONGEST_END))
        return None if not gone else not forced


class ThreadEnd:
    """Cancels a timer; no other thread can be ended."""

    def __init__(self, thread: Any) -> None:
        self._thread = thread

    def __call__(self, timeout: float) -> bool | None:
        threads.cancel_timer(self._thread)
        if threads.describe(self._thread)[0] != "timer":
            return None
        self._thread.join(min(timeout, THREAD_GRACE))
        return None if self._thread.is_alive() else True


class LoopEnd:
    """Closes an event loop that does not run."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __call__(self, timeout: float) -> bool | None:
        if self._loop.is_running():
            return None
        self._loop.close()
        return True


class DescriptorEnd:
    """Closes what owns a descriptor, or else the descriptor."""

    def __init__(self, descriptor: int, owners: descriptors.Owners) -> None:
        self._descriptor = descriptor
        self._owners = owners

    def __call__(self, timeout: float) -> bool | None:
        return self._owners.close(self._descriptor)


class TemporaryEnd:
    """Removes a temporary file or directory."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, timeout: float) -> bool | None:
        if os.path.isdir(self._path) and not os.path.islink(self._path):
            remove_tree(self._path)
        else:
            _unlink(self._path)
        return None if _lexists(self._path) else True
