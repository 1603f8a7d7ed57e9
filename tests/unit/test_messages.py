"""Messages and frames: without these tests, a malformed one could be believed, or a good one refused."""

from __future__ import annotations

import os
import random
import struct
import sys
import threading
import unittest
from typing import Any

import multiprocess
from hypothesis import given
from hypothesis import strategies as st
from multiprocess.connection import Connection

from isolatedunit.backends.connections import open_channel
from isolatedunit.errors import ProtocolError
from isolatedunit.model.subtests import SUBTEST_KEYS
from isolatedunit.protocol.channel import (
    MAX_MESSAGE_SIZE,
    ConnectionEnd,
    FrameReader,
    PipeEnd,
    read_receipts,
    to_frame,
)
from isolatedunit.protocol.messages import (
    COMMANDS,
    REPORTS,
    ChildReady,
    Exit,
    Heartbeat,
    Message,
    OutcomeNoted,
    RunTest,
    TestEnded,
    TestStarted,
    decode,
    encode,
)
from tests.support.attempts import SETTINGS
from tests.support.examples import examples, texts
from tests.support.projects import ProjectTestCase

STARTED = TestStarted(attempt="run/0#1", pid=1, test=0)


FINISHED = TestEnded(attempt="run/0#1", pid=1, test=0, duration=0.5, counted=True, succeeded=True)


VALUES: dict[str, Any] = {
    "str": "text",
    "int": 1,
    "float": 1.5,
    "bool": True,
    "dict": {"a": 1},
    "list": [1],
}


STRUCTURED: dict[str, Any] = {
    "settings": SETTINGS,
    "subtest": dict.fromkeys(SUBTEST_KEYS, "text"),
    "written": {"stdout": 1, "stderr": 2},
    "private": {"/tmp": ["name"]},
    "known_bad": {"module": {"cause": "crash"}},
    "tests": [{}],
    **{
        name: ["text"]
        for name in (
            *("argv", "files", "imports", "initializers", "late", "patched_by_gevent", "path", "prefix", "preload"),
            *("preludes", "sys_path", "warnings", "writable"),
        )
    },
    **{name: {"stdout": "text"} for name in ("capture", "environment", "spare")},
    **{name: [{"a": 1}] for name in ("leftovers", "sources", "unknown")},
}


def example(cls: type[Message]) -> Message:
    """A message of this class, with something in every field."""
    values = {}
    for name, kinds in cls.fields.items():
        kind = next(kind.__name__ for kind in kinds if kind is not type(None))
        values[name] = STRUCTURED.get(name, VALUES[kind])
    return cls(**values)


class MessageTest(unittest.TestCase):
    def test_every_message_survives_the_way(self) -> None:
        for known in (COMMANDS, REPORTS):
            for name, cls in known.items():
                with self.subTest(name):
                    message = example(cls)
                    self.assertEqual(decode(encode(message), known), message)

    def test_the_two_sets_are_apart(self) -> None:
        self.assertFalse(COMMANDS.keys() & REPORTS.keys())
        with self.assertRaises(ProtocolError):
            decode(encode(STARTED), COMMANDS)

    def test_defaults(self) -> None:
        report = OutcomeNoted(attempt="a", pid=1, kind="addError")
        self.assertEqual((report.test, report.text, report.subtest), (None, "", None))

    def test_a_message_has_its_fields_and_no_others(self) -> None:
        with self.assertRaisesRegex(TypeError, "TestStarted"):
            TestStarted(attempt="a", pid=1)  # type: ignore[call-arg]
        with self.assertRaisesRegex(TypeError, "more"):
            TestStarted(attempt="a", pid=1, test=0, more=1)  # type: ignore[call-arg]

    def test_lone_surrogates_and_everything_else_get_through(self) -> None:
        text = "\ud800 \x00 \x1b[31m \U0001f600"
        report = OutcomeNoted(attempt="a", pid=1, kind="addError", text=text)
        self.assertEqual(decode(encode(report), REPORTS), report)
        self.assertTrue(encode(report).isascii())

    def test_what_is_no_message_is_refused(self) -> None:
        for data in (
            b"",
            b"\xff",
            b"[]",
            b"null",
            b"{}",
            b'{"type":"Nothing"}',
            b'{"type":["TestStarted"]}',
            b'{"type":"TestStarted"}',
            b'{"type":"TestStarted","attempt":"a","pid":1}',
            b'{"type":"TestStarted","attempt":"a","pid":1,"test":"0"}',
            b'{"type":"TestStarted","attempt":"a","pid":1,"test":true}',
            b'{"type":"TestStarted","attempt":"a","pid":1,"test":0,"more":1}',
            b'{"type":"TestStarted","attempt":"a","pid":1,"test":0} ',
            b'{"type":"TestStarted","attempt":"a","pid":1,"test":0}{}',
            b'{"type":"TestStarted","attempt":"a","pid":1,"test":0',
            b'{"type":"TestStarted","attempt":null,"pid":1,"test":0}',
            b"[" * 100_000,
        ):
            with self.subTest(data[:60]), self.assertRaises(ProtocolError):
                decode(data, REPORTS)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | texts(8),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(8), inner, max_size=4),
            max_leaves=10,
        )
    )
    @examples(50)
    def test_no_json_is_anything_but_a_report_or_refused(self, value: Any) -> None:
        import json

        try:
            message = decode(json.dumps(value).encode(), REPORTS)
        except ProtocolError:
            return
        self.assertIn(type(message).__name__, REPORTS)


class FrameTest(unittest.TestCase):
    @given(st.lists(st.binary(max_size=50), max_size=10), st.randoms(use_true_random=False))
    @examples(50)
    def test_in_whatever_pieces_it_arrives(self, messages: list[bytes], chance: random.Random) -> None:
        stream = b"".join(map(to_frame, messages))
        reader = FrameReader()
        received = []
        while stream:
            size = chance.randint(1, 20)
            received += reader.feed(stream[:size])
            stream = stream[size:]
        self.assertEqual(received, messages)
        self.assertIsNone(reader.broken)

    def test_is_the_format_of_a_connection(self) -> None:
        ours, theirs = multiprocess.Pipe()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        for data in (b"", b"x", b"y" * 20_000):
            theirs.send_bytes(data)
            self.assertEqual(os.read(ours.fileno(), 30_000), to_frame(data))

    def test_an_impossible_length(self) -> None:
        for length in (-1, -2, MAX_MESSAGE_SIZE + 1):
            with self.subTest(length):
                reader = FrameReader()
                self.assertEqual(reader.feed(to_frame(b"good") + struct.pack("!i", length) + b"bad"), [b"good"])
                self.assertIn(str(length), str(reader.broken))


class ChannelTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.channel, self.theirs = open_channel()
        self.child = PipeEnd(*self.theirs.descriptors)
        self.addCleanup(self.channel.close)
        self.addCleanup(self.theirs.close)

    def test_both_ways(self) -> None:
        self.child.send(STARTED, FINISHED)
        self.assertEqual(self.channel.receive(), [STARTED, FINISHED])
        self.assertEqual(self.channel.receive(), [])
        self.channel.send(Exit())
        self.assertEqual(self.child.receive(), Exit())

    def test_a_command_that_does_not_fit_is_sent_in_parts(self) -> None:
        command = RunTest(attempt="a", tests=[{"text": "x" * 5_000_000}], settings=SETTINGS)
        self.channel.send(command)
        self.assertTrue(self.channel.has_unsent)
        received = bytearray()
        reader = FrameReader()
        messages: list[bytes] = []
        while not messages:
            self.channel.flush()
            received = bytearray(os.read(self.theirs.reader.fileno(), 1_000_000))
            messages = reader.feed(bytes(received))
        self.assertFalse(self.channel.has_unsent)
        self.assertEqual(decode(messages[0], COMMANDS), command)

    def test_both_ends_write_more_than_fits_at_the_same_time(self) -> None:
        large = "x" * 1_000_000
        received = []

        def be_child() -> None:
            self.child.send(OutcomeNoted(attempt="a", pid=1, test=0, kind="addFailure", text=large))
            received.append(self.child.receive())

        command = RunTest(attempt="a", tests=[{"text": large}], settings=SETTINGS)
        thread = threading.Thread(target=be_child)
        thread.start()
        self.channel.send(command)
        reports: list[Any] = []
        while thread.is_alive():
            self.channel.flush()
            reports += self.channel.receive()
        thread.join()
        self.assertEqual((received, [report.text for report in reports]), ([command], [large]))

    @unittest.skipUnless(sys.platform == "linux", "pipes have one size")
    def test_a_large_report_does_not_wait_for_the_runner(self) -> None:
        noted = OutcomeNoted(attempt="a", pid=1, test=0, kind="addFailure", text="x" * 200_000)
        self.child.send(noted)
        self.assertEqual(self.channel.receive(), [noted])

    def test_the_other_end_is_gone(self) -> None:
        self.child.send(STARTED)
        self.theirs.close()
        self.channel.send(Exit())  # no error: that the child is gone is told otherwise
        self.assertEqual(self.channel.receive_rest(), [STARTED])
        self.assertTrue(self.channel.ended)

    def test_a_message_that_was_cut_off(self) -> None:
        os.write(self.theirs.writer.fileno(), to_frame(encode(STARTED)) + to_frame(encode(FINISHED))[:10])
        self.theirs.close()
        self.assertEqual(self.channel.receive_rest(), [STARTED])
        self.assertIsNone(self.channel.broken)

    def test_what_was_good_before_the_garbage_is_heard(self) -> None:
        self.child.send(STARTED)
        os.write(self.theirs.writer.fileno(), b"\xff" * 100)
        self.assertEqual(self.channel.receive(), [STARTED])
        self.assertIsNotNone(self.channel.broken)
        self.assertTrue(self.channel.ended)

    def test_a_descriptor_that_was_closed_and_reused(self) -> None:
        receipt = os.path.join(self.directory, "receipt")
        self.child.receipt = receipt
        other = self.write("other", "")
        with open(other, "wb") as file:
            os.dup2(file.fileno(), self.theirs.writer.fileno())
            self.child.send(STARTED)
            self.child.send(FINISHED)
        self.assertEqual(os.path.getsize(other), 0)
        self.assertEqual(read_receipts(receipt), [STARTED, FINISHED])
        self.assertEqual(os.stat(receipt).st_mode & 0o777, 0o600)

    def test_a_receipt_that_can_no_longer_be_written(self) -> None:
        self.child.receipt, self.child.only_receipt = os.path.join(self.directory, "receipt"), True
        self.child.send(STARTED)
        self.assertEqual((self.channel.receive(), read_receipts(self.child.receipt)), ([], [STARTED]))
        os.remove(self.child.receipt)
        os.mkdir(self.child.receipt)
        self.child.send(FINISHED)
        self.child.send(FINISHED)
        self.assertEqual(self.channel.receive(), [STARTED, FINISHED, FINISHED])

    def test_no_receipt(self) -> None:
        self.assertEqual(read_receipts(os.path.join(self.directory, "none")), [])
        self.assertEqual(read_receipts(self.write("bad", "not a receipt at all")), [])

    def test_over_a_connection_object(self) -> None:
        child = ConnectionEnd(*(Connection(os.dup(one)) for one in self.theirs.descriptors))
        child.send(ChildReady(attempt="a", pid=1), Heartbeat(attempt="a", pid=1))
        self.assertEqual(len(self.channel.receive()), 2)
        self.channel.send(Exit())
        self.assertEqual(child.receive(), Exit())
