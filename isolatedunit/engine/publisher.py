"""Hands the events of a run to its listeners."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isolatedunit.model.events import Event, Listener, Warned


class Publisher:
    """Hands events to *listeners*, in this order; *now* gives the time of warnings."""

    def __init__(self, listeners: Sequence[Listener], now: Callable[[], float]) -> None:
        self._listeners = list(listeners)
        self._handlers: dict[type[Event], list[Callable[[Event], None]]] = {}
        self._now = now
        self._warnings: set[str] = set()

    def add(self, listener: Listener) -> None:
        """Hand all further events to this listener, too."""
        self._listeners.append(listener)
        self._handlers.clear()

    def publish(self, events: Sequence[Event]) -> None:
        """Hand each event to every listener that hears events of its class."""
        for event in events:
            kind = type(event)
            handlers = self._handlers.get(kind)
            if handlers is None:
                hearing = [one for one in self._listeners if kind in getattr(one, "hears", (kind,))]
                handlers = self._handlers[kind] = [listener.handle for listener in hearing]
            for handle in handlers:
                handle(event)

    def warn(self, text: str) -> None:
        """Warn the user, once for each *text*."""
        if text not in self._warnings:
            self._warnings.add(text)
            self.publish([Warned(self._now(), text)])
