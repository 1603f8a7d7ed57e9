"""What a test may say to the runner, and ask it, while it runs.

A test has one `Ipc`, as ``isolatedunit.ipc``, as ``self.ipc`` of an `IsolatedTestCase` and as ``ipc``
of a `TestInstance`. Values are plain data: what JSON knows. Bytes, and anything else that dill can
carry, go with ``pickled=True``; the runner opens those only for a handler that asked for it.
"""

from __future__ import annotations

import os

from isolatedunit import channel
from isolatedunit.errors import IpcError
from isolatedunit.messages import ProgressMade, Reply, Requested, ValueSent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isolatedunit.channel import PipeEnd
    from isolatedunit.messages import Report

DEFAULT_TIMEOUT = 10.0
"""Seconds that a request waits for its reply if nothing else is said."""

SHARED_SESSION = "isolatedunit.session"
"""The request for the one session that a run has of an SDK, which every runner answers; its value names the SDK."""

_LOOK_INTERVAL = 0.05


class Ipc:
    """A test's side of the conversation with the runner. May be used from any thread."""

    def __init__(self) -> None:
        self._replies: dict[int, Reply] = {}
        self._last = 0
        self._changed: Any = None
        self._is_reading = False
        self._process_id = 0

    @property
    def is_available(self) -> bool:
        """Whether there is a runner to talk to: in a child, and with ``enable_ipc``."""
        return channel.current is not None and not channel.current.only_receipt

    def progress(self, fraction: float, text: str = "") -> None:
        """Tell how far the test is, from 0.0 to 1.0; without a runner it goes nowhere.

        Raises `ValueError` for another *fraction*.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"progress goes from 0.0 to 1.0, and not to {fraction!r}")
        if self.is_available:
            self._send(ProgressMade, fraction=float(fraction), text=str(text))

    def send(self, name: str, value: Any = None, *, pickled: bool = False) -> None:
        """Tell the runner's listeners *value* under *name*; without a runner it goes nowhere.

        Raises `TypeError` for a value that is no plain data, or with *pickled* cannot be carried.
        """
        if self.is_available:
            self._send(ValueSent, name=name, **_wrap(name, value, pickled))

    def request(
        self, name: str, value: Any = None, *, timeout: float | None = DEFAULT_TIMEOUT, pickled: bool = False
    ) -> Any:
        """Ask the handler that the runner has for *name*; gives its reply.

        Raises `IpcError` when the handler raises, with its text, when there is none, and without a
        runner; `TimeoutError` when there is no reply within *timeout* seconds; `TypeError` as `send`.
        """
        pipe = channel.current
        if pipe is None or pipe.only_receipt:
            why = "this is no isolated test" if pipe is None else "this test runs with enable_ipc=False"
            raise IpcError(f"the request {name!r} has nobody to go to: {why}")
        changed = self._prepare()
        with changed:
            self._last += 1
            correlation = self._last
        self._send(Requested, correlation=correlation, name=name, **_wrap(name, value, pickled))
        reply = self._wait_for(pipe, correlation, timeout)
        if reply is None:
            raise TimeoutError(f"the request {name!r} had no reply within {timeout:g} s")
        if reply.error is not None:
            raise IpcError(reply.error)
        if reply.pickled is not None:
            from isolatedunit.addresses import undill

            return undill(reply.pickled)
        return reply.value

    def _prepare(self) -> Any:
        """The condition that threads wait on, made on the first use: a child that asks nothing needs no `threading`."""
        import threading

        if self._changed is None or self._process_id != os.getpid():
            self._changed = threading.Condition()
            self._process_id = os.getpid()
        return self._changed

    def _send(self, report: type[Report], **fields: Any) -> None:
        assert channel.current is not None
        channel.current.send(report(attempt=channel.current_attempt, pid=os.getpid(), **fields))

    def _wait_for(self, pipe: PipeEnd, correlation: int, timeout: float | None) -> Reply | None:
        """The reply, read by whichever of the waiting threads comes first; None when it is late."""
        from time import monotonic

        deadline = None if timeout is None else monotonic() + timeout
        changed = self._changed
        while True:
            left = _LOOK_INTERVAL if deadline is None else min(_LOOK_INTERVAL, deadline - monotonic())
            with changed:
                if correlation in self._replies:
                    return self._replies.pop(correlation)
                if left <= 0:
                    return None
                if self._is_reading:
                    changed.wait(left)
                    continue
                self._is_reading = True
            try:
                self._read(pipe, left)
            finally:
                with changed:
                    self._is_reading = False
                    changed.notify_all()

    def _read(self, pipe: PipeEnd, timeout: float) -> None:
        if not pipe.poll(timeout):
            return
        try:
            command = pipe.receive()
        except EOFError:
            raise IpcError("the runner is gone") from None
        if isinstance(command, Reply):
            # without the lock of the condition nobody else gets here: there is one reader at a time
            self._replies[command.correlation] = command


def _wrap(name: str, value: Any, pickled: bool) -> dict[str, Any]:
    """The fields that carry *value*."""
    if pickled:
        from isolatedunit.addresses import carry

        try:
            return {"pickled": carry(value)}
        except Exception as exception:
            raise TypeError(
                f"the value of {name!r}, a {type(value).__name__}, cannot be carried: {exception}"
            ) from None
    if not is_plain(value):
        raise TypeError(
            f"the value of {name!r}, a {type(value).__name__}, is more than plain data; give pickled=True with it"
        )
    return {"value": value}


def is_plain(value: Any) -> bool:
    """Whether JSON brings *value* back as it was: no tuples, no bytes, no keys but texts."""
    if value is None or type(value) in (bool, int, float, str):
        return True
    if type(value) is list:
        return all(is_plain(item) for item in value)
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return False


ipc = Ipc()
"""The conversation of the test that this process runs."""
