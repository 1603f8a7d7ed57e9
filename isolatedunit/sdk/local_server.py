"""`LocalServer`, an HTTP server on loopback that answers with the replies that a test gives it."""

from __future__ import annotations

import fnmatch
import http.server
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from isolatedunit.errors import UnexpectedRequest
from isolatedunit.sdk.scripts import Answers, Script


@dataclass(frozen=True)
class LocalRequest:
    """A request that a `LocalServer` got: *method*, *path* with its query, *headers* by name, and the *body*."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as data; raises `ValueError` if it is no JSON."""
        return json.loads(self.body)


class LocalServer:
    """An HTTP server on loopback, on a port of its own, that answers requests with *replies* until it is closed.

    *replies* maps a method and a path without query, ``"GET /users/1"``, to a reply; the path may have ``*``. A reply
    is data that is sent as JSON, text or bytes that are sent as they are, a pair of a status code and one of these, a
    function that gets the `LocalRequest` and returns one of these, or a `Script` of several replies. All other requests
    get the status 404, and so does one too many for a `Script`.
    """

    def __init__(self, replies: Mapping[str, Any]) -> None:
        self._answers = {
            name: Answers(name, reply.replies) if isinstance(reply, Script) else Answers(name, (reply,), repeats=True)
            for name, reply in replies.items()
        }
        self.requests: list[LocalRequest] = []
        """The requests so far, in order."""
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, such as ``http://127.0.0.1:40123``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop the server, and wait for its end."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: LocalRequest) -> tuple[int, Any]:
        """The status code and the content for *request*, which is added to `requests`."""
        self.requests.append(request)
        name = f"{request.method} {urlsplit(request.path).path}"
        pattern = name if name in self._answers else next((one for one in self._answers if _fits(name, one)), None)
        if pattern is None:
            return 404, {
                "error": f"no reply for {name}; there are replies for: {', '.join(self._answers) or 'nothing'}"
            }
        try:
            reply = self._answers[pattern](request)
        except UnexpectedRequest as exception:
            return 404, {"error": str(exception)}  # clients try again what fails on a server's side
        return reply if isinstance(reply, tuple) else (200, reply)


def _fits(name: str, pattern: str) -> bool:
    return "*" in pattern and fnmatch.fnmatchcase(name, pattern)


def _handler_for(server: LocalServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers one request as *server* says."""

        protocol_version = "HTTP/1.1"  # with an earlier one, some clients wait a second before they send a body

        def answer(self) -> None:
            request = LocalRequest(self.command, self.path, dict(self.headers), self.read_body())
            try:
                status, content = server.answer(request)
            except Exception as exception:  # of a function that a test gave
                status, content = 500, {"error": f"{type(exception).__name__}: {exception}"}
            kind, data = _encode(content)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")  # so that no thread waits for more when the test is over
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def read_body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler


def _encode(content: Any) -> tuple[str, bytes]:
    if isinstance(content, bytes):
        return "application/octet-stream", content
    if isinstance(content, str):
        return "application/xml" if content.startswith("<?xml") else "text/plain; charset=utf-8", content.encode()
    return "application/json", json.dumps(content).encode()
