"""Keeps a real client that a full mock is modelled on from connecting to anything."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, NoReturn
from unittest import mock


class ConnectionAttempted(BaseException):
    """A client tried to connect while it was made. No `Exception`, so that its own retries end at once, too."""


@contextlib.contextmanager
def no_connections() -> Iterator[None]:
    """Within the block, whatever this thread connects to, or looks up, raises `ConnectionAttempted`."""
    this_thread = threading.get_ident()

    def refusing(original: Any) -> Any:
        def refuse(*args: Any, **more: Any) -> Any:
            if threading.get_ident() == this_thread:
                _refuse()
            return original(*args, **more)

        return refuse

    with (
        mock.patch.object(socket.socket, "connect", refusing(socket.socket.connect)),
        mock.patch.object(socket.socket, "connect_ex", refusing(socket.socket.connect_ex)),
        mock.patch.object(socket, "getaddrinfo", refusing(socket.getaddrinfo)),
    ):
        yield


def _refuse() -> NoReturn:
    raise ConnectionAttempted("a full mock's client does not connect")
