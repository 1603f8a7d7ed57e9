"""Connections: without these tests, a process that writes at once would be one that nobody can stop or look at."""

from __future__ import annotations

import os
import unittest

from isolatedunit.backends.connections import open_channel
from isolatedunit.protocol.messages import ChildReady, encode


@unittest.skipUnless(os.name == "posix", "the kernel does not say there who writes")
class SenderTest(unittest.TestCase):
    def test_who_writes_first_is_known_however_early_that_is(self) -> None:
        channel, theirs = open_channel()
        self.addCleanup(channel.close)
        with theirs:
            theirs.send_bytes(encode(ChildReady(attempt="run/0#1", pid=1)))
            (report,) = channel.receive()
        self.assertEqual(report.pid, 1)
        if channel.sender(1) == 1:
            self.skipTest("this kernel does not say who writes")
        self.assertEqual(channel.sender(1), os.getpid())


if __name__ == "__main__":
    unittest.main()
