"""The engine's waiter: without these tests, a report or an end could be overlooked, also where there is no selector."""

from __future__ import annotations

import os
import sys
import unittest
from unittest import mock

from isolatedunit.backends.connections import open_channel
from isolatedunit.engine.selector import Waiter
from isolatedunit.protocol.channel import to_frame
from isolatedunit.protocol.messages import ChildReady, encode

FRAME = to_frame(encode(ChildReady(attempt="run/0#1", pid=1)))


class WaiterTest(unittest.TestCase):
    """On POSIX systems; the class below has it wait as on Windows, with the same results."""

    platform = "linux"

    def setUp(self) -> None:
        with mock.patch.object(sys, "platform", self.platform):
            self.waiter = Waiter()
        self.addCleanup(self.waiter.close)

    def test_data_comes_back_for_what_is_ready_and_for_nothing_else(self) -> None:
        channels, ends = zip(*(open_channel() for _ in range(2)), strict=True)
        for end in (*channels, *ends):
            self.addCleanup(end.close)
        first, _ = (self.waiter.add(channel, name) for channel, name in zip(channels, ("a", "b"), strict=True))
        self.assertEqual(self.waiter.wait(0), [])
        os.write(ends[1].writer.fileno(), FRAME)
        self.assertEqual(self.waiter.wait(60), ["b"])
        ends[0].close()
        self.assertEqual(sorted(self.waiter.wait(60)), ["a", "b"])
        channels[1].receive()
        self.assertEqual(self.waiter.wait(60), ["a"], "an end is there until it is removed")
        self.waiter.remove(first)
        channels[0].close()
        self.assertEqual(self.waiter.wait(0), [])

    def test_with_nothing_to_wait_for(self) -> None:
        self.assertEqual(self.waiter.wait(0), [])

    def test_a_descriptor_and_room_to_write(self) -> None:
        if self.platform == "win32":
            self.skipTest("a process's own handles are waited for there, and no room")
        reads, writes = os.pipe()
        self.addCleanup(os.close, reads)
        self.addCleanup(os.close, writes)
        self.waiter.add(reads, "read")
        added = self.waiter.add(writes, "write", writable=True)
        self.assertEqual(self.waiter.wait(60), ["write"])
        self.waiter.remove(added)
        os.write(writes, b"x")
        self.assertEqual(self.waiter.wait(60), ["read"])


class WindowsTest(WaiterTest):
    platform = "win32"
