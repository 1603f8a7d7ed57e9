"""A module that leaves a socket open when it is imported."""

import socket
import unittest

from expecting import expect

LISTENER = socket.create_server(("127.0.0.1", 0))


class BesideASocket(unittest.TestCase):
    @expect("passed")
    def test_it(self):
        with socket.create_connection(LISTENER.getsockname()):
            LISTENER.accept()[0].close()
