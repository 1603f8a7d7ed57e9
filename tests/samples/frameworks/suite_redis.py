import os
import threading
import unittest

import redis


def start():
    """The run's fixture: a server of this run's own."""
    import socket
    import subprocess
    import tempfile
    import time

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tempfile.gettempdir()],
        stdout=subprocess.DEVNULL,
    )
    client = redis.Redis(port=port)
    for _ in range(500):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.02)
    return {"REDIS_PORT": str(port)}


class RedisTest(unittest.TestCase):
    def setUp(self):
        slot = int(os.environ.get("ISOLATEDUNIT_SLOT", "1"))
        self.client = redis.Redis(port=int(os.environ["REDIS_PORT"]), db=slot, decode_responses=True)
        self.client.flushdb()
        self.addCleanup(self.client.close)

    def test_set(self):
        self.client.set("a", 1)
        self.assertEqual(self.client.get("a"), "1")

    def test_is_empty(self):
        self.assertEqual(self.client.keys(), [])

    def test_list(self):
        self.client.rpush("l", 1, 2)
        self.assertEqual(self.client.lrange("l", 0, -1), ["1", "2"])

    def test_pipeline(self):
        with self.client.pipeline() as pipe:
            self.assertEqual(pipe.set("x", 1).incr("x").execute(), [True, 2])

    def test_publish(self):
        listener = self.client.pubsub()
        listener.subscribe("channel")
        listener.get_message(timeout=5)
        self.client.publish("channel", "hello")
        self.assertEqual(listener.get_message(timeout=5)["data"], "hello")
        listener.close()

    def test_lock(self):
        with self.client.lock("lock", timeout=5):
            self.assertTrue(self.client.exists("lock"))

    def test_threads(self):
        threads = [threading.Thread(target=self.client.incr, args=("n",)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.client.get("n"), "5")

    def test_wrong_type(self):
        self.client.set("s", "x")
        self.client.lpush("s", 1)

    def test_fails(self):
        self.assertEqual(self.client.get("nothing"), "x")

    def test_expires(self):
        self.client.set("e", 1, px=10_000)
        self.assertGreater(self.client.pttl("e"), 0)
