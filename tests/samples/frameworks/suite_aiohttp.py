import asyncio

from aiohttp import ClientSession, web
from aiohttp.test_utils import AioHTTPTestCase, TestClient, TestServer
from unittest import IsolatedAsyncioTestCase


async def hello(request):
    return web.Response(text=f"hello {request.match_info['name']}")


async def echo(request):
    return web.json_response(await request.json())


def make():
    app = web.Application()
    app.router.add_get("/{name}", hello)
    app.router.add_post("/echo", echo)
    return app


class AppTest(AioHTTPTestCase):
    async def get_application(self):
        return make()

    async def test_get(self):
        response = await self.client.get("/you")
        self.assertEqual(await response.text(), "hello you")

    async def test_post(self):
        response = await self.client.post("/echo", json={"a": 1})
        self.assertEqual(await response.json(), {"a": 1})

    async def test_not_allowed(self):
        self.assertEqual((await self.client.post("/you")).status, 405)

    async def test_many(self):
        answers = await asyncio.gather(*(self.client.get(f"/{number}") for number in range(20)))
        self.assertEqual({answer.status for answer in answers}, {200})

    async def test_fails(self):
        self.assertEqual((await self.client.get("/you")).status, 500)

    async def test_raises(self):
        raise RuntimeError("in the test")

    async def test_skipped(self):
        self.skipTest("not here")


class ServerTest(IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = TestClient(TestServer(make()))
        await self.client.start_server()
        self.addAsyncCleanup(self.client.close)

    async def test_get(self):
        self.assertEqual((await self.client.get("/x")).status, 200)

    async def test_session(self):
        async with ClientSession() as session, session.get(self.client.make_url("/y")) as response:
            self.assertEqual(await response.text(), "hello y")

    async def test_parts(self):
        for name in ("a", "b"):
            with self.subTest(name):
                self.assertEqual(await (await self.client.get(f"/{name}")).text(), "hello a")
