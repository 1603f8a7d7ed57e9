import unittest

import eventlet
from eventlet.green import socket
from eventlet.queue import Queue


class GreenTest(unittest.TestCase):
    def test_spawn(self):
        self.assertEqual(eventlet.spawn(lambda: 5).wait(), 5)

    def test_pool(self):
        self.assertEqual(list(eventlet.GreenPool(2).imap(lambda number: number * 2, range(3))), [0, 2, 4])

    def test_queue(self):
        queue = Queue()
        eventlet.spawn(queue.put, 1)
        self.assertEqual(queue.get(), 1)

    def test_timeout(self):
        with self.assertRaises(eventlet.Timeout), eventlet.Timeout(0.01):
            eventlet.sleep(5)

    def test_times_out(self):
        with eventlet.Timeout(0.01, RuntimeError("too long")):
            eventlet.sleep(5)

    def test_sockets(self):
        server = eventlet.listen(("127.0.0.1", 0))
        eventlet.spawn(lambda: server.accept()[0].sendall(b"x"))
        client = eventlet.connect(server.getsockname())
        self.assertEqual(client.recv(1), b"x")
        client.close()
        server.close()

    def test_switches(self):
        order = []
        eventlet.spawn(order.append, 1)
        eventlet.sleep(0)
        self.assertEqual(order, [1])

    def test_fails(self):
        self.assertEqual(eventlet.spawn(lambda: 5).wait(), 6)

    def test_raises(self):
        eventlet.spawn(lambda: 1 // 0).wait()

    def test_green_socket(self):
        self.assertIsNot(socket.socket, __import__("socket").socket)
