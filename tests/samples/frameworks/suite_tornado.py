import asyncio

from tornado import gen, web
from tornado.testing import AsyncHTTPTestCase, AsyncTestCase, ExpectLog, gen_test


class Hello(web.RequestHandler):
    def get(self, name):
        if name == "nobody":
            raise web.HTTPError(404)
        self.write(f"hello {name}")

    def post(self, name):
        self.write(self.request.body)


class HttpTest(AsyncHTTPTestCase):
    def get_app(self):
        return web.Application([("/(.*)", Hello)])

    def test_get(self):
        self.assertEqual(self.fetch("/you").body, b"hello you")

    def test_post(self):
        self.assertEqual(self.fetch("/you", method="POST", body=b"x").body, b"x")

    def test_missing(self):
        with ExpectLog("tornado.access", "404"):
            self.assertEqual(self.fetch("/nobody").code, 404)

    def test_fails(self):
        self.assertEqual(self.fetch("/you").body, b"hello me")


class LoopTest(AsyncTestCase):
    @gen_test
    def test_generator(self):
        yield gen.sleep(0.01)

    @gen_test
    async def test_coroutine(self):
        await asyncio.sleep(0.01)
        self.assertIs(asyncio.get_running_loop(), self.io_loop.asyncio_loop)

    @gen_test(timeout=0.05)
    async def test_times_out(self):
        await asyncio.sleep(5)

    def test_stop_and_wait(self):
        self.io_loop.add_callback(self.stop, 7)
        self.assertEqual(self.wait(), 7)

    @gen_test
    async def test_raises(self):
        raise RuntimeError("in the loop")

    def test_skipped(self):
        self.skipTest("not here")
