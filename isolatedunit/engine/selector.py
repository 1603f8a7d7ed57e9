"""Waits for many things at once, on any system."""

from __future__ import annotations

import selectors
import sys
import time
from typing import Any

_LONGEST_NAP = 0.1


class Waiter:
    """Waits for many things at once; keeps them registered, so that each wait costs what happens."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector() if sys.platform != "win32" else None
        self._handles: dict[Any, Any] = {}

    def add(self, thing: Any, data: Any, *, writable: bool = False) -> Any:
        """Wait for *thing*, a descriptor or what has one, and for room to write if *writable*.

        `wait` gives *data* for it; what is returned is for `remove`.
        """
        if self._selector is None:
            handle = getattr(thing, "connection", thing)
            self._handles[handle] = data
            return handle
        descriptor = thing if isinstance(thing, int) else thing.fileno()
        self._selector.register(descriptor, selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0), data)
        return descriptor

    def remove(self, added: Any) -> None:
        """Do not wait for it any more, which may be closed by now."""
        if self._selector is None:
            self._handles.pop(added, None)
        else:
            self._selector.unregister(added)

    def wait(self, timeout: float) -> list[Any]:
        """The data of what is ready within *timeout* seconds."""
        if self._selector is not None:
            return [key.data for key, _ in self._selector.select(timeout)]
        from multiprocess.connection import wait

        # what has no handle to wait for, such as another thread's call, is looked at in between
        if not self._handles:
            time.sleep(min(timeout, _LONGEST_NAP))
            return []
        return [self._handles[ready] for ready in wait(list(self._handles), min(timeout, _LONGEST_NAP))]

    def close(self) -> None:
        """Let go of what the system holds for it."""
        if self._selector is not None:
            self._selector.close()
