"""`LocalServer`: without these tests, a client's test could talk to a service that answers like no real one."""

from __future__ import annotations

import http.client
import json
from typing import Any

from isolatedunit import LocalServer, OptionError, Script, SDKAdapter
from isolatedunit.sdk.local_server import LocalRequest
from tests.support.sdk import SDKCase


class LocalServerTest(SDKCase):
    def serve(self, replies: dict[str, Any]) -> LocalServer:
        server = LocalServer(replies)
        self.addCleanup(server.close)
        return server

    def ask(self, server: LocalServer, path: str, method: str = "GET", body: Any = None) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
        self.addCleanup(connection.close)
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()

    def test_replies_of_all_kinds(self) -> None:
        def reply(request: LocalRequest) -> Any:
            return 201, {"got": request.json()["x"]}

        server = self.serve(
            {
                "GET /data": {"a": [1]},
                "HEAD /data": {"a": [1]},
                "GET /text": "text",
                "GET /xml": '<?xml version="1.0"?><a/>',
                "GET /bytes": b"\xff",
                "GET /gone": (410, {"error": "gone"}),
                "GET /users/*": lambda request: request.path,
                "POST /function": reply,
            }
        )
        for path, expected in (
            ("/data?q=1", (200, "application/json", b'{"a": [1]}')),
            ("/text", (200, "text/plain; charset=utf-8", b"text")),
            ("/xml", (200, "application/xml", b'<?xml version="1.0"?><a/>')),
            ("/bytes", (200, "application/octet-stream", b"\xff")),
            ("/gone", (410, "application/json", b'{"error": "gone"}')),
            ("/users/1/name", (200, "text/plain; charset=utf-8", b"/users/1/name")),
        ):
            with self.subTest(path):
                self.assertEqual(self.ask(server, path), expected)
        posted = self.ask(server, "/function", "POST", json.dumps({"x": 5}).encode())
        self.assertEqual(posted, (201, "application/json", b'{"got": 5}'))
        in_pieces = self.ask(server, "/function", "POST", iter([b'{"x":', b" 6}"]))
        self.assertEqual(in_pieces[2], b'{"got": 6}')
        self.assertEqual(self.ask(server, "/function", "POST")[0], 500)
        self.assertEqual(self.ask(server, "/data", "HEAD"), (200, "application/json", b""))
        last = server.requests[-1]
        self.assertEqual((last.method, last.path, last.body), ("HEAD", "/data", b""))

    def test_a_script(self) -> None:
        server = self.serve({"GET /a": Script({"page": 1}, lambda request: request.path)})
        self.assertEqual([self.ask(server, "/a")[2] for _ in range(2)], [b'{"page": 1}', b"/a"])
        status, _, body = self.ask(server, "/a")
        self.assertEqual(status, 404)
        self.assertIn(b"'GET /a' was called 3 times, the Script has 2 replies", body)

    def test_an_unknown_request(self) -> None:
        status, _, body = self.ask(self.serve({"GET /a": 1}), "/b")
        self.assertEqual(status, 404)
        self.assertIn(b"no reply for GET /b; there are replies for: GET /a", body)

    def test_as_the_replies_of_a_partial_mock(self) -> None:
        from web_sdk import WebClient  # type: ignore[import-not-found]

        class Adapter(SDKAdapter):
            client_class = WebClient

            def arguments_at(self, url: str) -> dict[str, Any]:
                return {"base_url": url}

        sdk = self.make(Adapter(), mock_level="partial_mock", replies={"GET /a": {"answer": 42}})
        self.assertEqual(sdk.execute_with_sdk("/a"), 42)
        assert sdk.server is not None
        self.assertEqual(sdk.server.requests[0].headers["Authorization"], "Bearer ")
        with self.assertRaisesRegex(OptionError, "web_sdk:WebClient does not say how its client reaches"):
            self.make("web_sdk:WebClient", mock_level="partial_mock", replies={"GET /a": 1})
