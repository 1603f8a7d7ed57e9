"""Listeners that users give to a runner: objects with a method ``handle``, and functions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event, Listener


class GuardedListener:
    """Passes events on to a user's listener until that raises, which is told by *write_line* once."""

    def __init__(self, listener: Any, write_line: Callable[[str], object]) -> None:
        self._listener = listener
        self._handle: Callable[[Event], object] | None = listener.handle if hasattr(listener, "handle") else listener
        self._write_line = write_line

    def handle(self, event: Event) -> None:
        """Pass *event* on. An exception costs the listener all further events, and nobody else anything."""
        if self._handle is None:
            return
        try:
            self._handle(event)
        except BaseException as exception:
            if isinstance(exception, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # the user's Ctrl-C
            self._handle = None
            self._write_line(_describe(self._listener, exception))


def _describe(listener: Any, exception: BaseException) -> str:
    import traceback  # imported here: hardly any run needs it

    shown = "".join(traceback.format_exception(exception)).rstrip()
    name = getattr(listener, "__qualname__", type(listener).__qualname__)
    return f"isolatedunit: the listener {name} failed, and receives no further events:\n{shown}"


def guard_listeners(listeners: Iterable[Any], write_line: Callable[[str], object]) -> tuple[Listener, ...]:
    """Guard each of a user's *listeners*; raises `OptionError` for what can be none."""
    guarded = []
    for listener in listeners:
        if isinstance(listener, type):
            raise OptionError(f"listeners: {listener.__qualname__} is a class; pass an instance of it.")
        if not callable(getattr(listener, "handle", listener)):
            raise OptionError(
                f"listeners: {listener!r:.100} cannot be a listener; expected a function that takes an event, or an "
                "object with a method handle."
            )
        guarded.append(GuardedListener(listener, write_line))
    return tuple(guarded)
