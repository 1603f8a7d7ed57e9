"""What signals mean to a run, while it lasts."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_MEANT = 5
"""The number of the Ctrl-C that ends a process at once which does not seem to come to its end."""

_FOR_DEFAULT = ("SIGTERM", "SIGHUP"), ("SIGTSTP",), ("SIGQUIT", "SIGUSR1")


class Controlled(Protocol):
    """What signals control."""

    def interrupt(self) -> None:
        """Begin no further test; end those that run."""

    def suspend(self) -> None:
        """Stop, with all that runs, until the shell continues this process."""

    def inspect(self) -> None:
        """Show what runs."""


class Deferred:
    """A handler that notes a Ctrl-C and lets what goes on come to its end; not for ever, though."""

    def __init__(self) -> None:
        self.pending = 0

    def __call__(self, _signal: int, _frame: Any) -> None:
        self.pending += 1
        if self.pending == _MEANT:
            raise KeyboardInterrupt


@contextlib.contextmanager
def deferring_interrupts() -> Iterator[Deferred]:
    """While this lasts, count each Ctrl-C, so that what is begun meanwhile can also be ended.

    Whoever enters it looks at the count and does what is wanted. Inside another such context, the count is that one's.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if is_main else None
    if not is_main or isinstance(before, Deferred):
        yield before if isinstance(before, Deferred) else Deferred()
        return
    deferred = Deferred()
    signal.signal(signal.SIGINT, deferred)
    try:
        yield deferred
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


@contextlib.contextmanager
def heeding_signals(run: Controlled) -> Iterator[None]:
    """While this lasts a Ctrl-C interrupts *run*, and so do SIGTERM and SIGHUP; SIGTSTP (Ctrl-Z) suspends it; SIGQUIT
    (Ctrl-\\) and SIGUSR1 show what runs.

    Signals but the first for which the program has a handler, or which it ignores (as ``nohup`` lets it), are left as
    they are. In a thread that is not the main one there is nothing that can be done about signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGINT: _handle(signal.SIGINT, run.interrupt)}
    for names, call in zip(_FOR_DEFAULT, (run.interrupt, run.suspend, run.inspect), strict=True):
        for name in names:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = _handle(number, call)
    try:
        yield
    finally:
        for number, handler in before.items():
            # None stands for a handler that was not Python's
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _handle(number: int, call: Callable[[], None]) -> Any:
    return signal.signal(number, lambda _signal, _frame: call())
