"""Handles the signals that a run receives."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

_MEANT = 5
"""The number of Ctrl-C presses after which a process that does not seem to end is ended at once."""

_ENDING, _SUSPENDING, _INSPECTING = ("SIGTERM", "SIGHUP", "SIGBREAK"), ("SIGTSTP",), ("SIGQUIT", "SIGUSR1")


class Controlled(Protocol):
    """The part of a run that signals control."""

    def interrupt(self) -> None:
        """Start no further test, and end the running ones."""

    def suspend(self) -> None:
        """Stop this process and all running tests until the shell continues it."""

    def inspect(self) -> None:
        """Show the running tests."""


class Deferred:
    """A handler that only counts each Ctrl-C, and raises `KeyboardInterrupt` at the `_MEANT`-th."""

    def __init__(self) -> None:
        self.pending = 0

    def __call__(self, _signal: int, _frame: Any) -> None:
        self.pending += 1
        if self.pending == _MEANT:
            raise KeyboardInterrupt


@contextlib.contextmanager
def deferring_interrupts() -> Iterator[Deferred]:
    """A context that counts each Ctrl-C instead of raising, so that what is started inside can also be ended.

    The caller reads the count and acts on it. A nested context shares the count of the outer one.
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


class Terminated:
    """A handler of SIGTERM and SIGHUP for a command that may run tests several times: between two runs it raises
    `KeyboardInterrupt`, and a run that either signal interrupts is the last: `by_signal` is true from then on.
    """

    def __init__(self) -> None:
        self.by_signal = False

    def __call__(self, _signal: int, _frame: Any) -> None:
        self.by_signal = True
        raise KeyboardInterrupt

    def interrupt(self, run: Controlled) -> None:
        """Interrupt *run*, which is on."""
        self.by_signal = True
        run.interrupt()


@contextlib.contextmanager
def heeding_termination() -> Iterator[Terminated]:
    """A context in which SIGTERM and SIGHUP end all runs, unless the program ignores them, as under ``nohup``."""
    terminated = Terminated()
    before = {
        number: signal.signal(number, terminated)
        for number in _numbers_of(_ENDING)
        if signal.getsignal(number) is signal.SIG_DFL
    }
    try:
        yield terminated
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def heeding_signals(run: Controlled, on_ctrl_c: Callable[[], None] | None = None) -> Iterator[None]:
    """A context in which signals control *run*: Ctrl-C, SIGTERM and SIGHUP interrupt it, on
    Windows also Ctrl-Break; SIGTSTP (Ctrl-Z) suspends it, and SIGQUIT (Ctrl-\\) and SIGUSR1 show the running tests.
    *on_ctrl_c*, if given, is called for a Ctrl-C instead.

    Except for Ctrl-C, signals that the program already handles or ignores (as under ``nohup``) are left as they
    are. Outside of the main thread this has no effect, because Python sets handlers only there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGINT: _handle(signal.SIGINT, on_ctrl_c or run.interrupt)}
    for names, call in ((_ENDING, run.interrupt), (_SUSPENDING, run.suspend), (_INSPECTING, run.inspect)):
        for number in _numbers_of(names):
            handler = signal.getsignal(number)
            if handler is signal.SIG_DFL:
                before[number] = _handle(number, call)
            elif isinstance(handler, Terminated):
                before[number] = _handle(number, partial(handler.interrupt, run))
    try:
        yield
    finally:
        for number, handler in before.items():
            # trap: None means a handler that Python did not install and cannot restore
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _numbers_of(names: tuple[str, ...]) -> list[signal.Signals]:
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _handle(number: int, call: Callable[[], None]) -> Any:
    return signal.signal(number, lambda _signal, _frame: call())
