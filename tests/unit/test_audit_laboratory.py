"""Without these tests, an audit whose time is over could go on until its trials end by themselves."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import unittest
from typing import Any

from isolatedunit.audit.laboratory import Laboratory, Stopped


class SlowToStart(Laboratory):
    """One that is stopped while its first interpreter starts; the one that answers is this process."""

    def __init__(self, directory: str) -> None:
        self.forks = 0
        self.limits: dict[int, float] = {}
        self.temporary = directory
        self._directory = directory
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def _wait_for_first(self, path: str) -> None:
        self.stop()


@unittest.skipUnless(hasattr(socket, "AF_UNIX"), "needs sockets with names in the file system")
class LaboratoryTest(unittest.TestCase):
    def test_who_is_stopped_while_an_interpreter_starts_gives_no_order(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        listener: Any = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind(os.path.join(folder.name, "0"))
        listener.listen()
        listener.settimeout(60)
        laboratory = SlowToStart(folder.name)
        with self.assertRaises(Stopped):
            laboratory.run([0])
        connection, _ = listener.accept()
        self.addCleanup(connection.close)
        self.assertEqual(connection.recv(1), b"", "an order was given")


if __name__ == "__main__":
    unittest.main()
