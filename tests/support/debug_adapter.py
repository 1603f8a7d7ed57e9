"""Speaks to a debug adapter, as an editor does: the Debug Adapter Protocol over a socket."""

from __future__ import annotations

import json
import socket
from typing import Any

from tests.support.waiting import PATIENCE


class Editor:
    """An editor that has attached to the adapter on *port*, and has not told it yet that the program may go on."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._reader = self._socket.makefile("rb")
        self._count = 0
        self._events: list[dict[str, Any]] = []
        self.ask("initialize", adapterID="python", clientID="tests")
        self._attaching = self._send("attach", connect={"host": "127.0.0.1", "port": port})
        self.wait_for("initialized")

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._socket.close()

    def stop_at(self, path: str, line: int) -> None:
        """Set a breakpoint."""
        self.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": line}])

    def start(self) -> None:
        """Let the program run."""
        self.ask("configurationDone")
        self._wait_for_response(self._attaching)

    def wait_for(self, event: str) -> dict[str, Any]:
        """Wait for an event of this name; gives its body."""
        while True:
            for message in self._events:
                if message["event"] == event:
                    self._events.remove(message)
                    body: dict[str, Any] = message.get("body", {})
                    return body
            self._note(self._receive())

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, and wait for what it gives."""
        return self._wait_for_response(self._send(command, **arguments))

    def _send(self, command: str, **arguments: Any) -> int:
        self._count += 1
        message = {"seq": self._count, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        return self._count

    def _wait_for_response(self, request: int) -> dict[str, Any]:
        while True:
            message = self._receive()
            if message["type"] == "response" and message["request_seq"] == request:
                assert message["success"], message
                body: dict[str, Any] = message.get("body", {})
                return body
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        if message["type"] == "event":
            self._events.append(message)

    def _receive(self) -> dict[str, Any]:
        length = 0
        while line := self._reader.readline().strip():
            length = int(line.partition(b":")[2])
        if not length:
            raise EOFError("the adapter has hung up")
        message: dict[str, Any] = json.loads(self._reader.read(length))
        return message
