import socket
import threading
import time
import unittest

import gevent
from gevent import monkey, pool, queue
from gevent.event import Event


class PatchedTest(unittest.TestCase):
    def test_is_patched(self):
        self.assertTrue(monkey.is_module_patched("socket"))

    def test_threads_are_greenlets(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(gevent.getcurrent()))
        thread.start()
        thread.join()
        self.assertIsInstance(found[0], gevent.Greenlet)

    def test_sleep_switches(self):
        order = []
        gevent.joinall([gevent.spawn(lambda n=n: (time.sleep(0.01), order.append(n))) for n in range(3)])
        self.assertEqual(sorted(order), [0, 1, 2])

    def test_sockets(self):
        one, two = socket.socketpair()
        gevent.spawn(one.sendall, b"x")
        self.assertEqual(two.recv(1), b"x")
        one.close()
        two.close()

    def test_pool(self):
        self.assertEqual(pool.Pool(2).map(lambda number: number + 1, range(4)), [1, 2, 3, 4])

    def test_queue(self):
        found = queue.Queue()
        gevent.spawn(found.put, 5)
        self.assertEqual(found.get(), 5)

    def test_timeout(self):
        with self.assertRaises(gevent.Timeout), gevent.Timeout(0.01):
            gevent.sleep(5)

    def test_times_out(self):
        with gevent.Timeout(0.01, RuntimeError("too long")):
            gevent.sleep(5)

    def test_event(self):
        event = Event()
        gevent.spawn_later(0.01, event.set)
        self.assertTrue(event.wait(5))

    def test_fails(self):
        self.assertEqual(gevent.spawn(lambda: 1).get(), 2)

    def test_skipped(self):
        self.skipTest("not here")
