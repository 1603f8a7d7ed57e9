"""SDK fixtures: without these tests, a mocked test could reach the network, or leave a session or a credential."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pickle
import socket
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from typing import Any
from unittest import mock

from isolatedunit import (
    HandleTracker,
    IpcError,
    OptionError,
    Script,
    SDKAdapter,
    TestSDKFactory,
    TestSDKOptions,
)
from isolatedunit.sdk.session import detect, mask
from tests.support.sdk import CALLERS, FAKE, SDKCase

RECORDED = """
interactions:
- request: {method: GET, uri: "http://127.0.0.1:1/greeting", body: null, headers: {}}
  response: {status: {code: 200, message: OK}, headers: {}, body: {string: hello}}
version: 1
"""


class OptionsTest(unittest.TestCase):
    def test_defaults(self) -> None:
        options = TestSDKOptions()
        self.assertEqual(
            (options.mock_level, options.session_behavior, options.authentication), ("full_mock", "isolated", "mock")
        )
        self.assertTrue(options.process_isolation and options.enable_handle_tracking)

    def test_each_value_is_checked(self) -> None:
        for values, words in (
            (
                {"mock_level": "some"},
                "mock_level: invalid value 'some'; expected one of: full_mock, none, partial_mock",
            ),
            ({"session_behavior": 5}, "session_behavior: invalid value 5"),
            ({"authentication": None}, "authentication: invalid value None"),
            ({"mock_level": "fullMock"}, "mock_level: invalid value 'fullMock'; did you mean 'full_mock'?"),
            ({"mockLevel": "full_mock"}, "unknown option 'mockLevel'; did you mean 'mock_level'?"),
            ({"mock_level": "none"}, "sdk: mock_level 'none' needs an SDK"),
            ({"process_isolation": 1}, "process_isolation: invalid value 1; expected True or False"),
            ({"replies": [1]}, r"replies: invalid value \[1\]; expected a mapping"),
            ({"arguments": None}, "arguments: invalid value None; expected a mapping"),
            ({"mock_level": "recorded"}, "pass its file as cassette"),
            ({"sdk": 5}, "sdk: invalid value 5; expected the name of an SDK, an SDKAdapter, or a client's class"),
            ({"sdk": SDKAdapter}, r"SDKAdapter is the class of an adapter; pass an instance, SDKAdapter\(\)"),
            (
                {"mock_level": "none", "replies": {"execute": 1}},
                "replies need mock_level 'full_mock', not 'none'",
            ),
            ({"cassette": "london.yaml"}, "cassette needs mock_level 'recorded', not 'full_mock'"),
            ({"record_mode": "once"}, "record_mode needs mock_level 'recorded', not 'full_mock'"),
            ({"execute": 5}, "execute: invalid value 5; expected the name of a method"),
        ):
            with self.subTest(values), self.assertRaisesRegex(OptionError, words):
                TestSDKOptions(**values)

    def test_a_mapping_is_as_good(self) -> None:
        self.assertEqual(TestSDKOptions.of({"sdk": FAKE}, "here"), TestSDKOptions(sdk=FAKE))
        with self.assertRaisesRegex(OptionError, "here: invalid value 5; expected a TestSDKOptions, a mapping"):
            TestSDKOptions.of(5, "here")


class UnnamedTest(SDKCase):
    def test_a_client_of_no_sdk_answers_and_its_mock_records(self) -> None:
        sdk = self.make("", replies={})
        answer = sdk.execute_with_sdk("hello", temperature=1)
        self.assertEqual(answer, "mock answer to 'hello'")
        self.assertEqual(sdk.calls, [("execute", ("hello",), {"temperature": 1})])

        async def wait() -> Any:
            return await sdk.execute_with_sdk("later")

        self.assertEqual(asyncio.run(wait()), "mock answer to 'later'")
        self.assertIs(type(pickle.loads(pickle.dumps(answer))), str)  # noqa: S301
        self.assertEqual(self.make("", replies={"execute": 5}).execute_with_sdk("x"), 5)


class FullMockTest(SDKCase):
    def test_replies_of_all_kinds(self) -> None:
        sdk = self.make(
            replies={
                "execute": Script("one", LookupError("two"), "three"),
                "execute_later": "much later",
                "files.upload": lambda name, data: (name, data),
            }
        )
        self.assertEqual(sdk.execute_with_sdk("prompt", temperature=0.5), "one")
        with self.assertRaisesRegex(LookupError, "two"):
            sdk.client.execute("again")
        self.assertEqual(sdk.client.execute("and again"), "three")
        self.assertEqual(asyncio.run(sdk.client.execute_later("x")), "much later")
        self.assertEqual(sdk.client.files.upload("a", b"b"), ("a", b"b"))
        self.assertEqual(sdk.calls[0], ("execute", ("prompt",), {"temperature": 0.5}))
        self.assertEqual(sdk.calls[-1], ("files.upload", ("a", b"b"), {}))

    def test_it_refuses_what_the_real_client_would_refuse(self) -> None:
        client = self.make().client
        with self.assertRaises(TypeError):
            client.execute("prompt", wrong=1)
        with self.assertRaises(AttributeError):
            client.no_such_method()
        with self.assertRaises(AttributeError):
            client.no_such_attribute = 1

    def test_methods_behind_properties(self) -> None:
        client = self.make("fake_sdk:Deep", replies={"chat.completions.create": "hello"}).client
        self.assertEqual(client.chat.completions.create(model="m", prompt="p"), "hello")
        with self.assertRaises(TypeError):
            client.chat.completions.create(prompt="p")
        with client as inside:
            self.assertIs(inside, client)

    def test_arguments_and_replies_that_cannot_be(self) -> None:
        with self.assertRaisesRegex(OptionError, "Client does not accept .*'wrong': 1"):
            self.make(arguments={"wrong": 1})
        with self.assertRaisesRegex(
            OptionError, "Client has no method 'files.delete': .*; a mock has only what .*has.$"
        ):
            self.make(replies={"files.delete": 1})
        with self.assertRaisesRegex(OptionError, r"Client has no method 'excute': [^?]*; did you mean 'execute'\?$"):
            self.make(replies={"excute": 1})


class RealClientTest(SDKCase):
    def test_none_is_the_real_thing_and_is_closed(self) -> None:
        sdk = self.make(mock_level="none", arguments={"retries": 5})
        self.assertEqual((sdk.client.retries, sdk.calls), (5, []))
        self.assertEqual(sdk.execute_with_sdk("hello"), "https://sdk.example: hello (0.0)")
        sdk.close()
        self.assertTrue(sdk.client.is_closed and sdk.closed)

    def test_a_client_that_is_closed_by_awaiting(self) -> None:
        sdk = self.make("fake_sdk:Deep", mock_level="none")
        sdk.close()
        self.assertEqual(sdk.client.closed_by, "aclose")

        async def close_it() -> str:
            inside = self.make("fake_sdk:Deep", mock_level="none")
            inside.close()
            return str(inside.client.closed_by)

        self.assertEqual(asyncio.run(close_it()), "aclose")

    def test_the_method_may_be_named_and_may_be_async(self) -> None:
        sdk = self.make(mock_level="none", execute="execute_later")
        self.assertEqual(asyncio.run(sdk.execute_with_sdk("x")), "later: x")

    def test_the_method_may_be_one_of_a_part(self) -> None:
        sdk = self.make("fake_sdk:Client", execute="files.upload", replies={"files.upload": "done"})
        self.assertEqual(sdk.execute_with_sdk("name", data=b""), "done")

    def test_a_client_without_such_a_method(self) -> None:
        with self.assertRaisesRegex(OptionError, "has none of the methods execute, .*name one with"):
            self.make("fake_sdk:Silent", mock_level="none").execute_with_sdk("x")
        for level, wrong, hint in (
            ("none", "nothing", "name one that it has"),
            ("full_mock", "excute", "did you mean 'execute'?"),
            ("full_mock", "files.uplod", "did you mean 'files.upload'?"),
        ):
            with self.subTest(wrong), self.assertRaises(OptionError) as caught:
                self.make(mock_level=level, execute=wrong)
            self.assertIn(f"TestSDKOptions: execute: the client has no method {wrong!r}; {hint}", str(caught.exception))

    def test_what_can_be_no_client(self) -> None:
        for level in ("full_mock", "none"):
            with (
                self.subTest(level),
                self.assertRaisesRegex(OptionError, "sdk: .*<lambda> makes 3, which is no client"),
            ):
                self.make(lambda: 3, mock_level=level)

    def test_a_partial_mock_needs_an_adapter_with_a_server(self) -> None:
        with self.assertRaisesRegex(OptionError, "GenericAdapter starts no local server"):
            self.make(mock_level="partial_mock")

    def test_what_an_adapter_starts_is_stopped_in_the_end(self) -> None:
        from fake_sdk import Client  # type: ignore[import-not-found]

        log: list[str] = []

        class Adapter(SDKAdapter):
            client_class = Client

            def start_local_server(self, tracker: Any) -> dict[str, Any]:
                tracker.track("server", close=lambda: log.append("stopped"))
                return {"base_url": "http://127.0.0.1:1"}

        TestSDKFactory.register("fake", Adapter())
        self.addCleanup(TestSDKFactory.unregister, "fake")
        with self.make("fake", mock_level="partial_mock") as sdk:
            self.assertEqual(sdk.client.base_url, "http://127.0.0.1:1")
            self.assertEqual(log, [])
        self.assertEqual(log, ["stopped"])

    @unittest.skipUnless(importlib.util.find_spec("vcr"), "needs vcrpy: pip install '.[test]'")
    def test_a_recording_answers_for_the_network(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            cassette = os.path.join(directory, "cassette.yaml")
            with open(cassette, "w", encoding="utf-8") as file:
                file.write(RECORDED)
            with (
                self.make(mock_level="recorded", cassette=cassette),
                socket.create_server(("127.0.0.1", 0)) as here,
            ):
                with urllib.request.urlopen("http://127.0.0.1:1/greeting") as response:
                    self.assertEqual((response.status, response.read()), (200, b"hello"))
                # whatever was not recorded fails, also where somebody would answer
                with self.assertRaisesRegex(AssertionError, "has no answer to GET http://127.0.0.1"):
                    urllib.request.urlopen(f"http://127.0.0.1:{here.getsockname()[1]}/")
        with self.assertRaises(urllib.error.URLError):
            urllib.request.urlopen("http://127.0.0.1:1/greeting")

    def test_an_adapter_whose_clients_a_function_makes(self) -> None:
        from fake_sdk import make_client

        class Adapter(SDKAdapter):
            client_class = make_client

        self.assertEqual(self.make(Adapter(), mock_level="none", arguments={"retries": 2}).client.retries, 2)
        self.assertEqual(self.make(Adapter(), replies={"execute": 1}).client.execute("x"), 1)

    def test_a_recording_that_is_not_there(self) -> None:
        with self.assertRaisesRegex(OptionError, r"'nowhere.yaml' does not exist|needs vcrpy; install it with"):
            self.make(mock_level="recorded", cassette="nowhere.yaml")
        with (
            mock.patch.dict(sys.modules, vcr=None),
            self.assertRaisesRegex(OptionError, r"needs vcrpy; install it with: pip install 'isolatedunit\[sdk\]'"),
        ):
            self.make(mock_level="recorded", cassette="nowhere.yaml")

    def test_an_sdk_that_cannot_be_found(self) -> None:
        for name, words in (
            ("nothing", "'nothing' is not registered; register an adapter, or give"),
            ("no_such_module:Client", "cannot be found: No module named"),
            ("fake_sdk:Nobody", "cannot be found: .*Nobody"),
        ):
            with self.subTest(name), self.assertRaisesRegex(OptionError, words):
                self.make(name)
        with self.assertRaisesRegex(OptionError, "an instance of SDKAdapter"):
            TestSDKFactory.register("fake", SDKAdapter)  # type: ignore[arg-type]


class SessionTest(SDKCase):
    def setUp(self) -> None:
        super().setUp()
        patched = mock.patch.dict(os.environ, CALLERS)
        patched.start()
        self.addCleanup(patched.stop)
        self.before = dict(os.environ)

    def test_an_isolated_one_sees_nothing_of_the_callers(self) -> None:
        temporary = tempfile.gettempdir()
        sdk = self.make(mock_level="none")
        self.assertIsNone(sdk.client.token)
        self.assertEqual(os.environ["HARMLESS"], "1")
        home = os.environ["HOME"]
        self.assertNotEqual(home, self.before.get("HOME"))
        self.assertTrue(os.path.isdir(os.environ["XDG_CONFIG_HOME"]))
        self.assertTrue(os.environ["XDG_RUNTIME_DIR"].startswith(os.path.dirname(home)))
        self.assertNotIn("SSH_AUTH_SOCK", os.environ)
        self.assertTrue(tempfile.mkdtemp().startswith(os.environ["TMPDIR"]))
        self.assertEqual(sdk.session.found["FAKE_TOKEN"], "a-***")
        sdk.close()
        self.assertEqual(dict(os.environ), self.before)
        self.assertEqual(tempfile.gettempdir(), temporary)
        self.assertFalse(os.path.exists(home))

    def test_each_isolated_one_has_an_id_of_its_own(self) -> None:
        self.assertNotEqual(self.make().session_id, self.make().session_id)

    def test_authentication_by_the_environment(self) -> None:
        self.assertEqual(self.make(mock_level="none", authentication="environment").client.token, CALLERS["FAKE_TOKEN"])

    def test_authentication_by_a_mock(self) -> None:
        from fake_sdk import Client

        class Adapter(SDKAdapter):
            client_class = Client

            def mock_environment(self) -> dict[str, str]:
                return {"FAKE_TOKEN": "for tests only"}

        TestSDKFactory.register("fake", Adapter())
        self.addCleanup(TestSDKFactory.unregister, "fake")
        self.assertEqual(self.make("fake", mock_level="none").client.token, "for tests only")
        self.assertIsNone(self.make("fake", mock_level="none", authentication="none").client.token)

    def test_a_detected_one_is_the_callers(self) -> None:
        sdk = self.make(mock_level="none", session_behavior="detect")
        self.assertEqual(sdk.client.token, CALLERS["FAKE_TOKEN"])
        self.assertEqual((sdk.session.behavior, sdk.session.found["FAKE_TOKEN"]), ("detect", "a-***"))
        self.assertEqual(os.environ["HOME"], self.before["HOME"])
        sdk = self.make(mock_level="none", session_behavior="detect", authentication="none")
        self.assertIsNone(sdk.client.token)

    def test_a_shared_one_is_asked_for(self) -> None:
        options = TestSDKOptions(sdk=FAKE, session_behavior="shared")
        asked: list[Any] = []
        sdk = TestSDKFactory.create(options, request=lambda name, value: asked.append((name, value)) or "the-one")
        self.addCleanup(sdk.close)
        self.assertEqual((sdk.session_id, asked), ("the-one", [("isolatedunit.session", FAKE)]))

        def nobody(*_: str) -> str:
            raise IpcError("nobody is there")

        ids = set()
        for _ in range(2):
            with TestSDKFactory.create(options, request=nobody) as sdk:
                ids.add(sdk.session_id)
        self.assertEqual(len(ids), 1)

    def test_detection(self) -> None:
        with tempfile.TemporaryDirectory() as home:
            os.makedirs(os.path.join(home, ".fake"))
            with open(os.path.join(home, ".fake", "credentials"), "w", encoding="utf-8") as file:
                file.write("secret")
            callers = {"HOME": home, "OTHER_API_KEY": "short", "FAKE_PROFILE": "x" * 20, "PATH": "/bin"}
            self.assertEqual(list(detect([], [], {"AWS_ACCESS_KEY_ID": "AKIA"})), ["AWS_ACCESS_KEY_ID"])
            found = detect(["FAKE_*"], [".fake/credentials", ".fake/nothing"], callers)
        self.assertEqual(
            found,
            {"FAKE_PROFILE": "xx***", "OTHER_API_KEY": "***", "~/.fake/credentials": "a file of 6 bytes"},
        )
        self.assertNotIn("secret", mask("secret"))


class TrackingTest(SDKCase):
    def test_the_tracker_closes_what_the_test_did_not(self) -> None:
        options = TestSDKOptions(sdk=FAKE, mock_level="none")
        with HandleTracker() as tracker:
            sdk = TestSDKFactory.create(options, handle_tracker=tracker)
        self.assertTrue(sdk.closed and sdk.client.is_closed)
        assert tracker.result is not None
        self.assertEqual(tracker.result.leaked, 0)

    def test_unless_it_is_not_to(self) -> None:
        options = TestSDKOptions(sdk=FAKE, mock_level="none", enable_handle_tracking=False)
        with HandleTracker() as tracker:
            sdk = TestSDKFactory.create(options, handle_tracker=tracker)
        self.assertFalse(sdk.closed)
        sdk.close()

    def test_a_client_that_cannot_be_made_leaves_nothing_changed(self) -> None:
        before = dict(os.environ)
        with self.assertRaises(TypeError):
            self.make(mock_level="none", arguments={"wrong": 1})
        self.assertEqual(dict(os.environ), before)
