import socket
import tempfile
import unittest

from client import Client


class ClientTest(unittest.TestCase):
    def setUp(self):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        self.address = server.getsockname()

    def test_closed(self):
        client = Client(self.address)
        client.close()

    def test_upload(self):
        self.client = Client(self.address)
        with open(tempfile.mkstemp()[1]) as file:
            self.client.connection.sendall(file.read().encode())
