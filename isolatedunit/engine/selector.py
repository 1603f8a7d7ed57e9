"""Waits for many things at once, on every system."""

from __future__ import annotations

import selectors
import sys
import time
from typing import Any

_LONGEST_NAP = 0.1


class Waiter:
    """Waits for many things at once. They stay registered, so that a wait costs only what happens in it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector() if sys.platform != "win32" else None
        self._handles: dict[Any, Any] = {}

    def add(self, thing: Any, data: Any, *, writable: bool = False) -> Any:
        """Wait for *thing*, which is a descriptor or has one, to be readable, or with *writable* to have room.

        `wait` returns *data* for it. The return value of this method is for `remove`.
        """
        if self._selector is None:
            self._handles[thing] = data
            return thing
        descriptor = thing if isinstance(thing, int) else thing.fileno()
        self._selector.register(descriptor, selectors.EVENT_WRITE if writable else selectors.EVENT_READ, data)
        return descriptor

    def remove(self, added: Any) -> None:
        """Do not wait any more for what was added; it may be closed by now."""
        if self._selector is None:
            self._handles.pop(added, None)
        else:
            self._selector.unregister(added)

    def wait(self, timeout: float) -> list[Any]:
        """Wait at most *timeout* seconds; return the data of what is ready."""
        if self._selector is not None:
            return [key.data for key, _ in self._selector.select(timeout)]
        from multiprocess.connection import wait

        # a call of another thread has no handle to wait for, so the loop has to look for it now and then
        if not self._handles:
            time.sleep(min(timeout, _LONGEST_NAP))
            return []
        return [self._handles[ready] for ready in wait(list(self._handles), min(timeout, _LONGEST_NAP))]

    def close(self) -> None:
        """Release what the system holds for the waiter."""
        if self._selector is not None:
            self._selector.close()
