"""What a test can send to the runner, and request from it, while it runs.

A test has one `Ipc`, as ``isolatedunit.ipc``, as ``self.ipc`` of an `IsolatedTestCase` and as ``ipc``
of a `TestInstance`. Values are plain data: what JSON knows. Bytes, and anything else that dill can
carry, go with ``pickled=True``; the runner opens those only for a handler that asked for it.
"""

from __future__ import annotations

import os

from isolatedunit.errors import IpcError
from isolatedunit.protocol import channel
from isolatedunit.protocol.messages import ATTACHMENT, ProgressReported, Reply, Requested, ValueReported
from isolatedunit.system.durations import to_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any

    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.messages import Report

DEFAULT_TIMEOUT = 10.0
"""Seconds that a request waits for its reply by default."""

SHARED_SESSION = "isolatedunit.session"
"""The name of the request for the one session of an SDK that a run has; its value is the name of the SDK. Every runner
answers it."""

SHARED_SERVER = "isolatedunit.server"
"""The name of the request for the one local server of an SDK that a run has; its value has the SDK's adapter."""

MAX_TEXT = 1000
"""How many characters of a progress report's text are sent."""

MAX_ATTACHMENT = 16 * 1024 * 1024
"""How many bytes an attachment may have."""

_LOOK_INTERVAL = 0.05


class Ipc:
    """A test's side of the conversation with the runner. May be used from any thread."""

    def __init__(self) -> None:
        self._replies: dict[int, Reply] = {}
        self._awaited: set[int] = set()
        self._last = 0
        self._changed: Any = None
        self._is_reading = False
        self._process_id = 0

    @property
    def is_available(self) -> bool:
        """Whether there is a runner at the other end: in a child with ``enable_ipc``, but not in a fork of it."""
        return self._why_nobody_is_there() is None

    def _why_nobody_is_there(self) -> str | None:
        if channel.current is None:
            return "this is not an isolated test"
        if channel.current_process != os.getpid():
            # it would take the replies that the test itself waits for
            return "this process is a fork of the test's own process, which alone can ask"
        return "this test runs with enable_ipc=False" if channel.current.only_receipt else None

    def progress(self, fraction: float, text: str = "") -> None:
        """Report the test's progress, from 0.0 to 1.0; does nothing without a runner.

        The first thousand characters of *text* are sent. Raises `ValueError` for any other *fraction*.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"progress must be between 0.0 and 1.0, not {fraction!r}")
        if self.is_available:
            self._send(ProgressReported, fraction=float(fraction), text=str(text)[:MAX_TEXT])

    def send(self, name: str, value: Any = None, *, pickled: bool = False) -> None:
        """Send *value* to the runner's listeners, under *name*; does nothing without a runner.

        Raises `TypeError` for a value that is not plain data, or that cannot be pickled if *pickled* is set, and
        `ValueError` for one that takes more than 64 MiB.
        """
        if self.is_available:
            self._send_value(ValueReported, name, value, pickled)

    def attach(self, name: str, data: str | bytes | bytearray | memoryview) -> None:
        """Add a file of that *name* to the test's report: a text, or bytes; does nothing without a runner.

        Its kind is known by the end of its name. Raises `ValueError` for more than 16 MiB.
        """
        is_text = isinstance(data, str)
        if not isinstance(name, str) or not (is_text or isinstance(data, (bytes, bytearray, memoryview))):
            raise TypeError(f"an attachment is a name and a string or bytes, not {name!r} and a {type(data).__name__}")
        content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else bytes(data)
        if len(content) > MAX_ATTACHMENT:
            raise ValueError(f"the attachment {name!r} has {len(content):,} bytes; the limit is {MAX_ATTACHMENT:,}")
        if self.is_available:
            from binascii import b2a_base64

            encoded = b2a_base64(content, newline=False).decode("ascii")
            self._send(ValueReported, name=ATTACHMENT, value={"name": name, "data": encoded, "is_text": is_text})

    def request(
        self,
        name: str,
        value: Any = None,
        *,
        timeout: float | timedelta | None = DEFAULT_TIMEOUT,
        pickled: bool = False,
    ) -> Any:
        """Ask the handler that the runner has for *name*; gives its reply.

        Raises `IpcError` when the handler raises, with its text, when there is none, and without a
        runner; `TimeoutError` when there is no reply within *timeout*, seconds or a ``timedelta``;
        `TypeError` and `ValueError` as `send`.
        """
        seconds = to_seconds(timeout, "ipc.request")
        why, pipe = self._why_nobody_is_there(), channel.current
        if why is not None or pipe is None:
            raise IpcError(f"the request {name!r} cannot be sent: {why}")
        changed = self._prepare()
        with changed:
            self._last += 1
            correlation = self._last
            self._awaited.add(correlation)
        try:
            self._send_value(Requested, name, value, pickled, correlation=correlation)
            reply = self._wait_for(pipe, correlation, seconds)
        finally:
            with changed:
                self._awaited.discard(correlation)
                self._replies.pop(correlation, None)
        if reply is None:
            raise TimeoutError(f"the request {name!r} got no reply within {seconds:g} s")
        if reply.error is not None:
            raise IpcError(reply.error)
        if reply.pickled is not None:
            from isolatedunit.protocol.pickling import undill

            return undill(reply.pickled)
        return reply.value

    def _prepare(self) -> Any:
        """The condition that threads wait on, made when first used: a child without requests needs no `threading`."""
        import threading

        if self._changed is None or self._process_id != os.getpid():
            self._changed = threading.Condition()
            self._process_id = os.getpid()
        return self._changed

    def _send_value(self, report: type[Report], name: str, value: Any, pickled: bool, **fields: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a value or a request must be a string, not {name!r}")
        fields |= _wrap(name, value, pickled)
        try:
            self._send(report, name=name, **fields)
        except ValueError as exception:
            raise ValueError(f"the value of {name!r} cannot be sent: {exception}") from None

    def _send(self, report: type[Report], **fields: Any) -> None:
        assert channel.current is not None
        channel.current.send(report(attempt=channel.current_attempt, pid=os.getpid(), **fields))

    def _wait_for(self, pipe: PipeEnd, correlation: int, timeout: float | None) -> Reply | None:
        """The reply, read by whichever waiting thread gets to read first; None if it does not come in time."""
        from time import monotonic

        deadline = None if timeout is None else monotonic() + timeout
        changed = self._changed
        while True:
            left = _LOOK_INTERVAL if deadline is None else min(_LOOK_INTERVAL, deadline - monotonic())
            with changed:
                if correlation in self._replies:
                    return self._replies[correlation]
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
        if isinstance(command, Reply) and command.correlation in self._awaited:  # not one that comes too late
            # without the lock of the condition nobody else gets here: there is one reader at a time
            self._replies[command.correlation] = command


def _wrap(name: str, value: Any, pickled: bool) -> dict[str, Any]:
    """The fields of a message that hold *value*."""
    if pickled:
        from isolatedunit.protocol.pickling import carry

        try:
            return {"pickled": carry(value, answers=True)}
        except Exception as exception:
            raise TypeError(
                f"the value of {name!r}, a {type(value).__name__}, cannot be pickled: {exception}"
            ) from None
    if not is_plain(value):
        raise TypeError(
            f"the value of {name!r}, a {type(value).__name__}, is not plain data; pass pickled=True to send it"
        )
    return {"value": value}


def is_plain(value: Any) -> bool:
    """Whether *value* comes back from JSON as it was: it has no tuples, no bytes, and only texts as keys."""
    if value is None or type(value) in (bool, int, float, str):
        return True
    if type(value) is list:
        return all(is_plain(item) for item in value)
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return False


ipc = Ipc()
"""The conversation of the test that this process runs."""
