"""Connections: without these tests, a test could find a socket of ours, or nobody stop a process that writes early."""

from __future__ import annotations

import os
import stat
import threading
import unittest
from unittest import mock

from isolatedunit.backends import connections
from isolatedunit.backends.connections import open_channel, open_template_connection
from isolatedunit.protocol.channel import PipeEnd, to_frame
from isolatedunit.protocol.messages import ChildReady, Exit, Prepare, encode

NAMES = [f"test_module.Class.test_{number}" for number in range(50_000)]
LONG = Prepare(role="", sys_path=[], argv=NAMES, directory="", own_session=True, capture={}, scratch="")


def open_descriptors() -> set[int]:
    """The descriptors of this process; what lists them has one of its own, that is closed by then."""
    return {number for number in range(256) if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@unittest.skipUnless(os.name == "posix", "there the system has pipes of another kind")
class ChildTest(unittest.TestCase):
    def test_a_child_has_pipes_and_no_socket(self) -> None:
        channel, theirs = open_channel()
        self.addCleanup(channel.close)
        self.addCleanup(theirs.close)
        self.assertTrue(all(stat.S_ISFIFO(os.fstat(one).st_mode) for one in theirs.descriptors))
        self.assertFalse(any(os.get_inheritable(one) for one in theirs.descriptors))

    def test_the_runner_never_waits_and_the_child_does(self) -> None:
        channel, theirs = open_channel()
        self.addCleanup(channel.close)
        self.addCleanup(theirs.close)
        self.assertEqual([os.get_blocking(one.fileno()) for one in (channel.reader, channel.writer)], [False, False])
        self.assertEqual([os.get_blocking(one) for one in theirs.descriptors], [True, True])

    def test_all_is_closed(self) -> None:
        before = open_descriptors()
        for open_ends in (open_channel, open_template_connection):
            channel, theirs = open_ends()
            theirs.close()
            channel.close()
            self.assertEqual(open_descriptors(), before)

    @unittest.skipIf(os.name == "nt", "multiprocess makes them there")
    def test_no_pipe_is_left_when_there_is_none_for_the_way_back(self) -> None:
        before, first = open_descriptors(), os.pipe()

        with (
            mock.patch.object(os, "pipe", side_effect=[first, OSError("no more")]),
            self.assertRaisesRegex(OSError, "no more"),
        ):
            open_channel()
        self.assertEqual(open_descriptors(), before)


@unittest.skipUnless(os.name == "posix", "there are no templates there")
class TemplateTest(unittest.TestCase):
    def test_who_writes_first_is_known_however_early_that_is(self) -> None:
        connection, theirs = open_template_connection()
        self.addCleanup(connection.close)
        self.addCleanup(theirs.close)
        theirs.writer.send(to_frame(encode(ChildReady(attempt="run/0#1", pid=1))))
        (report,) = connection.receive()
        self.assertEqual(report.pid, 1)
        if connection.sender(1) == 1:
            self.skipTest("this kernel does not say who writes")
        self.assertEqual(connection.sender(1), os.getpid())

    def test_a_command_that_does_not_fit_is_sent_when_it_is_read(self) -> None:
        connection, theirs = open_template_connection()
        self.addCleanup(connection.close)
        self.addCleanup(theirs.close)
        received = []
        thread = threading.Thread(target=lambda: received.append(PipeEnd(*theirs.descriptors).receive()))
        thread.start()
        connection.send(LONG)
        thread.join()
        self.assertEqual(received, [LONG])

    def test_a_template_that_never_reads_is_given_up(self) -> None:
        connection, theirs = open_template_connection()
        self.addCleanup(connection.close)
        self.addCleanup(theirs.close)
        with mock.patch.object(connections, "_READ_TIMEOUT", 0.01), self.assertRaises(TimeoutError):
            connection.send(LONG)

    def test_a_command_for_nobody_is_an_error(self) -> None:
        connection, theirs = open_template_connection()
        self.addCleanup(connection.close)
        theirs.close()
        self.assertFalse(connection.ended)
        with self.assertRaises(OSError):
            connection.send(Exit())
        self.assertTrue(connection.is_closed)


if __name__ == "__main__":
    unittest.main()
