"""Local servers of SDKs: one for all tests of a run where that is possible, or else one for the test that needs it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

from isolatedunit.errors import CarryError, IpcError
from isolatedunit.protocol.ipc import SHARED_SERVER
from isolatedunit.protocol.pickling import carry, undill
from isolatedunit.sdk.adapter import SDKAdapter


def serve(
    adapter: SDKAdapter, name: str, request: Callable[..., Any] | None, on_close: Callable[[Callable[[], Any]], object]
) -> dict[str, Any]:
    """The client's arguments to reach the local server of the SDK *name*.

    *request* asks the runner, which has one server for all tests; it is None where there is no runner. A server that
    cannot be shared is started here, with a port of its own, and *on_close* gets what stops it.
    """
    shared = None
    if request is not None and adapter.shares_server and _starts_servers(adapter):
        shared = _ask_for_shared(adapter, name, request)
    return adapter.start_local_server(Closing(on_close)) if shared is None else shared


def _starts_servers(adapter: SDKAdapter) -> bool:
    return type(adapter).start_local_server is not SDKAdapter.start_local_server


def _ask_for_shared(adapter: SDKAdapter, name: str, request: Callable[..., Any]) -> dict[str, Any] | None:
    try:
        wanted = {"sdk": name, "adapter": carry(adapter), "path": [*map(str, sys.path)]}
        reply = request(SHARED_SERVER, wanted, timeout=None)
        if "problem" not in reply:
            arguments: dict[str, Any] = undill(reply["arguments"])
            return arguments
        problem = reply["problem"]
    except IpcError:  # there is nobody who could keep it
        return None
    except CarryError as exception:
        problem = str(exception)
    warnings.warn(
        f"the local server of {name} cannot be shared, so each test starts its own; set shares_server = False in its "
        f"adapter if that is intended: {problem}",
        stacklevel=2,
    )
    return None


class Closing:
    """Replaces the tracker for an adapter: what it starts is stopped with something else, the last one first."""

    def __init__(self, on_close: Callable[[Callable[[], Any]], object]) -> None:
        self._on_close = on_close

    def track(self, handle: Any, close: Any = None, kind: str | None = None, identity: str | None = None) -> Any:
        """Have *close* called in the end."""
        if close is not None:
            self._on_close(close)
        return handle
