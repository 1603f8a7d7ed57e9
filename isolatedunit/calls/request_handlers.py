"""Answers the requests of tests with handlers registered by name, called outside of the engine's thread."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from isolatedunit.errors import CarryError
from isolatedunit.model.records import record
from isolatedunit.protocol import channel
from isolatedunit.protocol.ipc import SHARED_SERVER, SHARED_SESSION, is_plain
from isolatedunit.protocol.messages import Reply, Requested
from isolatedunit.protocol.pickling import carry, undill

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from isolatedunit.sdk.shared_servers import SharedServers

AT_ONCE = 8
"""How many handlers may run at the same time."""

MAX_TEXT = 100_000
"""How many characters of a handler's exception are sent to the test."""

Handler = Callable[[Any], Any]


@record(frozen=True)
class _Registered:
    handler: Handler
    pickled: bool


class Handlers:
    """The request handlers of one runner. Any thread may use it."""

    def __init__(self) -> None:
        self._registered: dict[str, _Registered] = {}
        self._sessions: dict[str, str] = {}
        self._servers: dict[str, SharedServers] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._registered or self._sessions or self._servers)

    def register(self, name: str, handler: Handler, *, pickled: bool = False) -> None:
        """Let *handler* answer requests for *name* from now on."""
        if not callable(handler):
            raise TypeError(f"the handler for {name!r} must be callable, not {handler!r}")
        self._registered[name] = _Registered(handler, pickled)

    def answer(self, request: Requested, reply: Callable[[Reply], None]) -> None:
        """Start answering the request, without waiting; the answer is passed to *reply*."""
        with self._lock:
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor  # imported here: most runs get no request

                self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="isolatedunit-handler")
            self._pool.submit(lambda: reply(self._make_reply(request)))

    def _make_reply(self, request: Requested) -> Reply:
        fields: dict[str, Any] = {"attempt": request.attempt, "correlation": request.correlation}
        try:
            made = Reply(**fields, **self._call(request))
            channel.encode_bounded(made)  # trap: in the engine's thread its error would not be the handler's
            return made
        except BaseException as exception:  # trap: if it ended this thread, the test would never get an answer
            return Reply(**fields, error=_format_error(exception))

    def _call(self, request: Requested) -> dict[str, Any]:
        if request.name == SHARED_SESSION:
            import uuid  # imported here, since only tests of an SDK need it

            with self._lock:
                return {"value": self._sessions.setdefault(str(request.value), uuid.uuid4().hex)}
        if request.name == SHARED_SERVER:
            return {"value": self._servers_of(request.attempt.partition("/")[0]).answer(request.value)}
        registered = self._registered.get(request.name)
        if registered is None:
            known = ", ".join(sorted(self._registered)) or "none"
            return {"error": f"no handler is registered for the request {request.name!r}; registered are: {known}"}
        value = request.value
        if request.pickled is not None:
            if not registered.pickled:
                return {
                    "error": f"the handler for {request.name!r} accepts only plain data; register it with "
                    "pickled=True to accept pickled values"
                }
            value = undill(request.pickled)
        answer = registered.handler(value)
        if inspect.isawaitable(answer):
            import asyncio  # imported here, since few handlers need it

            answer = asyncio.run(_wait_for(answer))
        if is_plain(answer):
            return {"value": answer}
        try:
            return {"pickled": carry(answer)}
        except CarryError as error:
            reply = f"the reply to {request.name!r}, a {type(answer).__qualname__}"
            raise CarryError(f"{reply}, cannot be sent to the test's process: {error}") from error

    def _servers_of(self, run: str) -> SharedServers:
        with self._lock:
            if run not in self._servers:
                from isolatedunit.sdk.shared_servers import SharedServers  # imported here: few tests need a server

                self._servers[run] = SharedServers()
            return self._servers[run]

    def end_run(self, run: str) -> None:
        """Stop the servers that the tests of this run have shared."""
        with self._lock:
            servers = self._servers.pop(run, None)
        if servers is not None:
            servers.close()

    def close(self) -> None:
        """Release the threads, without waiting for handlers that still run, and stop the servers."""
        for run in list(self._servers):
            self.end_run(run)
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None


def _format_error(exception: BaseException) -> str:
    try:
        text = str(exception)
    except Exception:
        text = "its message is not available"
    return f"{type(exception).__name__}: {text[:MAX_TEXT]}"


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable
