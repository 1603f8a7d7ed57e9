"""Full mocks: without these tests, one could lack what the real client has, or have what it lacks, or call it."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import socket
import sys
import unittest
from typing import Any, cast
from unittest import mock

from isolatedunit import OptionError, Script
from isolatedunit.errors import UnexpectedRequest
from tests.support.sdk import SDKCase

RESPONSE = object()


class MockCase(SDKCase):
    def setUp(self) -> None:
        super().setUp()
        refusing = mock.patch.object(socket.socket, "connect", side_effect=AssertionError("a full mock connected"))
        refusing.start()
        self.addCleanup(refusing.stop)

    def client(self, name: str, replies: dict[str, Any] | None = None, **arguments: Any) -> Any:
        return self.make(f"shaped_sdk:{name}", replies=replies or {}, arguments=arguments).client


class AttributesTest(MockCase):
    def test_what_the_constructor_sets(self) -> None:
        client = self.client("Parts", timeout=5)
        client.headers.update(c="d")
        self.assertEqual(client.headers, {"a": "b", "c": "d"})
        self.assertEqual(client.timeout, 5)
        client.timeout = 7
        self.assertEqual(client.timeout, 7)
        with self.assertRaisesRegex(
            AttributeError, "'Parts' object has no attribute 'timeuot'; did you mean 'timeout'?"
        ):
            _ = client.timeuot
        with self.assertRaises(AttributeError):
            client.nothing = 1
        self.assertIn("v1", dir(client))

    def test_parts_that_only_type_checkers_or_the_real_object_know(self) -> None:
        client = self.client(
            "Parts", {"chat.completions.create": "one", "lazy.completions.create": "two", "v1.customers.create": 3}
        )
        self.assertEqual(client.chat.completions.create(model="m"), "one")
        self.assertEqual(client.lazy.completions.create("m"), "two")
        self.assertEqual(client.v1.customers.create(email="e"), 3)
        self.assertEqual(client.get_raw("url").__class__, client.get("url").__class__)
        client.untyped.customers.create(email="e")
        for wrong in (
            client.chat.completions.create,
            lambda: client.lazy.completions.create("m", "n"),
            lambda: client.v1.customers.create(name="e"),
            client.get_raw,
        ):
            with self.assertRaises(TypeError):
                cast(Any, wrong)()
        for path in ("chat.completion", "lazy.nothing", "v1.customer", "untyped.nothing", "get.nothing"):
            with self.subTest(path), self.assertRaises(AttributeError):
                _ = __import__("operator").attrgetter(path)(client)

    def test_an_attribute_that_asks_the_service_is_not_read(self) -> None:
        self.assertIsInstance(self.client("Parts").asks_service, mock.Mock)

    def test_a_reply_for_an_attribute_is_its_value(self) -> None:
        client = self.client("Parts", {"timeout": 9, "v1": "services"})
        self.assertEqual((client.timeout, client.v1), (9, "services"))

    def test_a_client_whose_attributes_may_have_any_name(self) -> None:
        client = self.client("Dynamic", {"add": 3, "system.listMethods": ["add"]})
        self.assertEqual((client.add(1, 2), client.system.listMethods()), (3, ["add"]))

    def test_a_constructor_that_connects(self) -> None:
        client = self.client("Connects", {"query": "one"})
        self.assertEqual(client.query(), "one")
        with self.assertWarnsRegex(UserWarning, "no real Connects could be made .*: .*Pass what its constructor needs"):
            _ = client.late
        with self.assertRaises(AttributeError):
            _ = client.nothing

    def test_arguments(self) -> None:
        with self.assertRaisesRegex(OptionError, "Parts does not accept .*'tmeout'"):
            self.client("Parts", tmeout=1)
        self.client("Chains")  # nobody needs a key for a mock
        with self.assertRaisesRegex(OptionError, "make_annotated does not accept"):
            self.client("make_annotated", regoin="x")

    def test_what_unittests_mocks_can_do(self) -> None:
        client = self.client("Parts", {"get": 1})
        client.get("url", raw=True)
        client.get.assert_called_once_with(url="url", raw=True)
        with self.assertRaises(AttributeError):
            client.get.asert_called_once()
        client.reset_mock()
        client.get.assert_not_called()
        client.get.side_effect = KeyError
        with self.assertRaises(KeyError):
            client.get("url")
        del client.get
        with self.assertRaises(AttributeError):
            client.get("url")

    def test_no_client_is_made_to_look_for_special_methods(self) -> None:
        client = self.client("MadeOnlyOnce")
        self.assertFalse(hasattr(client, "__array__"))
        self.assertEqual(client.untouched(), client.untouched.return_value)
        self.assertEqual(sys.modules["shaped_sdk"].made, 0)
        self.assertEqual((client.late, client.late), (1, 1))
        self.assertEqual(sys.modules["shaped_sdk"].made, 1)

    def test_the_standard_librarys_client(self) -> None:
        client = self.make("http.client:HTTPConnection", replies={"getresponse.read": b"body"}).client
        client.request("GET", "/")
        self.assertEqual(client.getresponse().read(), b"body")
        self.assertIsInstance(client, http.client.HTTPConnection)


class ChainsTest(MockCase):
    def test_replies_reach_what_methods_give(self) -> None:
        for name, reply in (
            ("cursor.fetchall", [(1,)]),
            ("optional.fetchall", [(2,)]),
            ("renamed.fetchall", [(3,)]),
            ("untyped.json", {}),
            ("through_another.json", {}),
            ("by_factory.json", {}),
            ("unknown.anything", 5),
            ("unknown().anything().more", 6),
            ("pipeline.execute", [True]),
            ("__getitem__.json", 7),
        ):
            with self.subTest(name):
                found = self.client("Chains", {name: reply})
                for step in name.replace("()", "").split("."):
                    found = getattr(found, step)(*(["x"] if step in ("untyped", "__getitem__") else []))
                self.assertEqual(found, reply)

    def test_what_methods_give_is_as_strict_as_the_client(self) -> None:
        client = self.client("Chains")
        self.assertIsNone(client.close())
        client.cursor().rowcount = 3
        client.untyped("x").body.decode()
        for wrong in (
            lambda: client.cursor().fetchone,
            lambda: client.untyped("x").text,
            lambda: client.stream("x").__enter__().nothing,
            lambda: client.pipeline().exec,
        ):
            with self.assertRaises(AttributeError):
                cast(Any, wrong)()
        with self.assertRaisesRegex(OptionError, "Chains has no method 'cursor.fetchone': .*'Cursor' object has no"):
            self.client("Chains", {"cursor.fetchone": 1})
        with self.assertRaisesRegex(OptionError, "Chains has no method 'close.more'"):
            self.client("Chains", {"close.more": 1})

    def test_with_blocks(self) -> None:
        client = self.client("Chains", {"cursor.fetchall": [], "stream.json": {"a": 1}})
        with client.cursor() as cursor, client.stream("url") as response:
            self.assertEqual((cursor.fetchall(), response.json()), ([], {"a": 1}))
        with self.client("Chains", {"stream": RESPONSE}).stream("url") as response:
            self.assertIs(response, RESPONSE)

    def test_methods_that_return_their_object(self) -> None:
        pipeline = self.client("Chains", {"pipeline.execute": [1]}).pipeline()
        self.assertEqual(pipeline.set("a").also().set("b").execute(), [1])
        self.assertIsNot(pipeline.parent(), pipeline)

    def test_factories(self) -> None:
        for name in ("make_annotated", "make_untyped"):
            with self.subTest(name):
                client = self.client(name, {"cursor.fetchall": [1]}, region="eu")
                self.assertEqual(client.cursor().fetchall(), [1])
        self.assertEqual(self.client("make_dynamic").timeout, 5)
        with self.assertRaisesRegex(OptionError, "full mock of what make_connecting makes needs its class"):
            self.client("make_connecting")

    def test_a_client_that_is_there_already(self) -> None:
        client = self.client("SHARED", {"execute": 3})
        self.assertEqual((client.execute("x"), client.word), (3, "shared"))
        with self.assertRaises(TypeError):
            client.execute()
        real = self.make("shaped_sdk:SHARED", mock_level="none").client
        self.assertEqual(real.word, "shared")

    def test_a_factory_that_has_to_be_awaited(self) -> None:
        self.assertEqual(self.client("connect", {"cursor.fetchall": [1]}).cursor().fetchall(), [1])
        with self.assertRaisesRegex(OptionError, "connect_untyped makes needs its class.*has to be awaited"):
            self.client("connect_untyped")

    def test_objects_of_classes_that_are_made_at_run_time(self) -> None:
        client = self.client("Resource", {"Bucket.upload": 3})
        bucket = client.Bucket("mine")
        self.assertEqual((bucket.name, bucket.upload("path")), ("mine", 3))
        with self.assertRaises(AttributeError):
            _ = bucket.nothing
        with self.assertRaisesRegex(ValueError, "one name"):
            client.Bucket("one", "two")
        self.assertEqual(client.mock_calls[1], mock.call.Bucket().upload("path"))


class AwaitingTest(MockCase):
    def test_the_twin_of_a_client(self) -> None:
        self.assertEqual(self.client("Client", {"get": b"1"}).get("k"), b"1")

        async def use() -> None:
            client = self.client("AsyncClient", {"get": b"1", "rows": [1, 2], "stream.json": 3})
            self.assertTrue(inspect.iscoroutinefunction(client.get))
            self.assertEqual(await client.get("k"), b"1")
            self.assertEqual([row async for row in client.rows()], [1, 2])
            async with client as same, client.stream() as response:
                self.assertIs(same, client)
                self.assertEqual(response.json(), 3)
            with self.assertRaises(TypeError):
                client.get()

        asyncio.run(use())

    def test_functions_as_replies(self) -> None:
        async def reply(key: str) -> str:
            return key * 2

        async def use() -> None:
            client = self.client("AsyncClient", {"get": reply, "send": Script(KeyError("k"), reply, "last")})
            self.assertEqual(await client.get("a"), "aa")
            with self.assertRaises(KeyError):
                await client.send("a")
            self.assertEqual([await client.send("b"), await client.send("c")], ["bb", "last"])
            with self.assertRaisesRegex(UnexpectedRequest, "'send' was called 4 times, the Script has 3 replies"):
                await client.send("d")

        asyncio.run(use())


class ScriptTest(MockCase):
    def test_a_call_too_many_names_the_method_and_the_call(self) -> None:
        words = r"'v1.customers.create' was called 2 times, the Script has 1 reply; this call: \(email='second'\)"
        script = Script(lambda email: f"to {email}")
        client = self.client("Parts", {"v1.customers.create": script})
        self.assertEqual(client.v1.customers.create(email="first"), "to first")
        with self.assertRaisesRegex(UnexpectedRequest, words) as caught:
            client.v1.customers.create(email="second")
        self.assertIsInstance(caught.exception, unittest.TestCase.failureException)
        again = self.client("Parts", {"v1.customers.create": script})
        self.assertEqual(again.v1.customers.create(email="x"), "to x")  # each client begins anew
