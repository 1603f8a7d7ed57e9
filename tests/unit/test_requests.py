"""Requests outside of a run: without this test, a test that makes them could not run under plain unittest."""

from __future__ import annotations

import unittest

from isolatedunit import IpcError, ipc


class OutsideTest(unittest.TestCase):
    """In a process that is no child; here, by way of one that took its Connection away."""

    def setUp(self) -> None:
        from isolatedunit.protocol import channel

        before = channel.current
        channel.current = None
        self.addCleanup(setattr, channel, "current", before)

    def test_progress_goes_nowhere_and_a_request_is_an_error(self) -> None:
        ipc.progress(0.5)
        ipc.send("name", 1)
        self.assertFalse(ipc.is_available)
        with self.assertRaisesRegex(IpcError, "'name' cannot be sent: this is not an isolated test"):
            ipc.request("name")
