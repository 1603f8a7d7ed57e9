"""Recordings: without these tests, a secret could get into a repository, or a test could pass without its service."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import tempfile
import threading
import unittest
from typing import Any
from unittest import mock

from isolatedunit import IsolatedTestRunner, OptionError, TestInstance, TestSDK, TestSDKFactory, TestSDKOptions
from isolatedunit.errors import UnexpectedRequest
from isolatedunit.sdk.scrubbing import Scrubber
from tests.support.optional import optional
from tests.support.sdk import SDKCase

KEY = "sk-the-callers-own-key"
TOKEN = "a-token-of-the-service"  # noqa: S105 - what the tests look for


class Service(http.server.BaseHTTPRequestHandler):
    """Counts its requests, and gives each client a token."""

    asked: int

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer()

    def answer(self) -> None:
        self.server.asked = getattr(self.server, "asked", 0) + 1  # type: ignore[attr-defined]
        body = {"answer": self.server.asked, "access_token": TOKEN, "tokens": 3}  # type: ignore[attr-defined]
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Set-Cookie", f"session={TOKEN}; Path=/")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@unittest.skipUnless(optional("vcr"), "vcrpy is not installed")
class RecordingTest(SDKCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Service)
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.cassette = os.path.join(directory.name, "recordings", "web.yaml")
        environment = mock.patch.dict(os.environ, WEB_API_KEY=KEY)
        environment.start()
        self.addCleanup(environment.stop)

    def options(self, record_mode: Any, **more: Any) -> TestSDKOptions:
        arguments = {"base_url": f"http://127.0.0.1:{self.server.server_address[1]}"}
        how = {"session_behavior": "detect", "authentication": "environment", "record_mode": record_mode, **more}
        how.setdefault("cassette", self.cassette)
        return TestSDKOptions(sdk="web_sdk:WebClient", mock_level="recorded", arguments=arguments, **how)

    def recorded(self, record_mode: str, **more: Any) -> TestSDK:
        return TestSDKFactory.create(self.options(record_mode, **more))

    def asked(self) -> int:
        return getattr(self.server, "asked", 0)

    def content(self) -> str:
        with open(self.cassette, encoding="utf-8") as file:
            return file.read()

    def test_recorded_once_and_played(self) -> None:
        for _ in range(2):
            with self.recorded("once") as sdk:
                self.assertEqual([sdk.execute_with_sdk("/a"), sdk.execute_with_sdk("/a")], [1, 2])
        self.assertEqual(self.asked(), 2)
        with self.recorded("new_episodes") as sdk:
            self.assertEqual([sdk.execute_with_sdk("/a"), sdk.execute_with_sdk("/b")], [1, 3])
        with self.recorded("none", session_behavior="isolated", authentication="mock") as sdk:
            self.assertEqual(sdk.client.key, "")
            self.assertEqual(sdk.execute_with_sdk("/b"), 3)
        with self.recorded("all") as sdk:
            self.assertEqual(sdk.execute_with_sdk("/b"), 4)

    def test_no_secret_is_recorded(self) -> None:
        with self.recorded("once") as sdk:
            for path in ("/a", f"/{KEY}/b"):
                sdk.execute_with_sdk(path, user="ada")
                self.assertEqual((sdk.client.token, sdk.client.cookie.split(";")[0]), (TOKEN, f"session={TOKEN}"))
        content = self.content()
        for secret in (KEY, TOKEN):
            self.assertNotIn(secret, content)
        for kept in ("user=ada", "q=x", '"tokens": 3', "Path=/"):
            self.assertIn(kept, content)
        with self.recorded("none") as sdk:
            self.assertEqual(sdk.execute_with_sdk(f"/{KEY}/b", user="ada"), 2)
            self.assertEqual(sdk.client.token, "(hidden)")
        os.unlink(self.cassette)
        with self.recorded("once", scrub_secrets=False, filter_headers=["authorization"]) as sdk:
            sdk.execute_with_sdk("/a")
        self.assertIn(TOKEN, self.content())
        self.assertNotIn("Bearer", self.content())

    def test_settings_of_vcrpy(self) -> None:
        with self.recorded("once") as sdk:
            sdk.execute_with_sdk("/a")

        def same_start(one: Any, other: Any) -> None:
            assert one.path[:2] == other.path[:2]

        with self.recorded("none", match_on=["method", same_start]) as sdk:
            self.assertEqual(sdk.execute_with_sdk("/a/b/c"), 1)
        with self.recorded("none", cassette_options={"allow_playback_repeats": True}) as sdk:
            self.assertEqual([sdk.execute_with_sdk("/a"), sdk.execute_with_sdk("/a")], [1, 1])
        with self.recorded("new_episodes", cassette_options={"before_record_request": lambda _: None}) as sdk:
            self.assertEqual(sdk.execute_with_sdk("/b"), 2)
        self.assertNotIn("/b", self.content())
        for options, words in (
            ({"match_on": ["methd"]}, "vcrpy has no matcher 'methd'; did you mean 'method'"),
            ({"cassette_options": {"serialiser": "json"}}, "no setting 'serialiser'; did you mean 'serializer'"),
        ):
            with self.assertRaisesRegex(OptionError, words):
                self.recorded("none", **options)

    def test_what_it_cannot_answer(self) -> None:
        with self.recorded("once") as sdk:
            sdk.execute_with_sdk("/a")
        with self.recorded("none") as sdk:
            sdk.execute_with_sdk("/a")
            used_up = r"GET http://127.*/a\?q=x.* was requested 2 times, '.*web.yaml' has it once"
            for path, words in (("/a", used_up), ("/c", r"no answer to GET http:.*/c\?q=x.*closest .* GET http:.*/a")):
                with self.assertRaisesRegex(UnexpectedRequest, words) as caught:
                    sdk.execute_with_sdk(path)
                self.assertNotIn(KEY, str(caught.exception))
        self.assertEqual(self.asked(), 1)
        with self.assertRaisesRegex(OptionError, r"'.*nowhere.yaml' does not exist; record it with record_mode='once'"):
            self.recorded("none", cassette=os.path.join(os.path.dirname(self.cassette), "nowhere.yaml"))

    def test_a_call_records_and_another_plays(self) -> None:
        def use(test: TestInstance) -> Any:
            return test.sdk.execute_with_sdk("/a"), test.sdk.client.token

        with IsolatedTestRunner() as runner:
            recorded = runner.run_isolated_test(use, options={"test_sdk_options": self.options("once")})
            played = runner.run_isolated_test(use, options={"test_sdk_options": self.options("none")})
        self.assertEqual((recorded.unwrap(), played.unwrap()), ((1, TOKEN), (1, "(hidden)")))


class ScrubbingTest(unittest.TestCase):
    def scrub(self, body: Any, **headers: Any) -> Any:
        response = {"headers": dict(headers), "body": {"string": json.dumps(body).encode()}}
        scrubbed = Scrubber().scrub_response(response)
        return json.loads(scrubbed["body"]["string"]), scrubbed["headers"]

    def test_fields_of_bodies(self) -> None:
        secrets = {
            "accessToken": "0123456789ab",
            "refresh_token": "0123456789ab",
            "clientSecret": "x",
            "password": "x",
            "SecretAccessKey": "x",
            "api_key": "x",
        }
        kept = {
            "nextPageToken": "0123456789ab",
            "token": "Hello",
            "tokenizer": "a-long-name-of-one",
            "prompt_tokens": 5,
            "Key": "Name",
            "author": "Ada",
            "key": "photos/2020/holiday.jpg",
            "max_tokens": None,
        }
        body, headers = self.scrub({"inside": [secrets], **kept}, **{"Content-Length": ["1"]})
        self.assertEqual(body, {"inside": [dict.fromkeys(secrets, "(hidden)")], **kept})
        self.assertEqual(headers["Content-Length"], [str(len(json.dumps(body)))])

    def test_headers(self) -> None:
        kept = {"WWW-Authenticate": ["Bearer realm=x"], "Content-Type": "text/plain", "ETag": '"x"'}
        hidden = {"X-Amz-Security-Token": "x", "x-api-key": ["x"], "api-key": "x", "Authorization": b"x"}
        _, headers = self.scrub({}, **kept, **hidden)
        for name, value in kept.items():
            self.assertEqual(headers[name], value)
        for name, given in hidden.items():
            self.assertEqual(headers[name], ["(hidden)"] if isinstance(given, list) else "(hidden)")

    def test_addresses(self) -> None:
        class Request:
            def __init__(self, uri: str) -> None:
                self.uri, self.headers, self.body = uri, {"Content-Type": "application/x-www-form-urlencoded"}, b"a=b"

        for uri, expected in (
            ("https://h/p?a=1&sig=abc%2B&page=2", "https://h/p?a=1&sig=(hidden)&page=2"),
            ("https://h/p?X-Amz-Signature=a&X-Amz-Date=b", "https://h/p?X-Amz-Signature=(hidden)&X-Amz-Date=b"),
            ("https://user:word@h:1/p", "https://(hidden)@h:1/p"),
            ("https://h/p?b=%20x&a", "https://h/p?b=%20x&a"),
            ("https://h/p?pageToken=12&key=", "https://h/p?pageToken=12&key=(hidden)"),
        ):
            request = Scrubber().scrub_request(Request(uri))
            self.assertEqual((request.uri, request.body), (expected, b"a=b"))

    def test_zipped_bodies(self) -> None:
        zipped = gzip.compress(json.dumps({"client_secret": "x"}).encode())
        response = {"headers": {"content-encoding": ["gzip"]}, "body": {"string": zipped}}
        body = Scrubber().scrub_response(response)["body"]["string"]
        self.assertEqual(json.loads(gzip.decompress(body)), {"client_secret": "(hidden)"})
        binary = {"headers": {}, "body": {"string": b"\xff\x00"}}
        self.assertEqual(Scrubber().scrub_response(binary)["body"]["string"], b"\xff\x00")
