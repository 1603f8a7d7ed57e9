"""Ready-made frames: without these tests, a report made from one could differ from a report made in full."""

from __future__ import annotations

import os
import unittest
from typing import Any

from isolatedunit.child import heartbeat
from isolatedunit.child.reporter import FrameTemplates, Reporter, forms_for, is_plain
from isolatedunit.protocol.channel import FrameReader
from isolatedunit.protocol.messages import (
    REPORTS,
    CallNoted,
    ChildReady,
    FixtureStarted,
    Heartbeat,
    Report,
    TestEnded,
    TestStarted,
    WorkFinished,
    decode,
)
from tests.support.waiting import wait_until

ATTEMPT = "1234abcd/17#2"


FINISHED: dict[str, Any] = {"test": 0, "duration": 0.25, "counted": True, "succeeded": True, "written": None}


RECEIPT: dict[str, Any] = {"clean": True, "found_after": 0.0, "elapsed": 1.5, "stopped": False}


class Wire:
    """A Connection that keeps what it is given; *filled* are frames that came from a form."""

    def __init__(self) -> None:
        self.sent: list[Report] = []
        self.filled: list[bytes] = []

    def send(self, *reports: Report) -> None:
        self.sent += reports

    def send_frames(self, frames: bytes) -> None:
        self.filled.append(frames)
        reader = FrameReader()
        self.sent += [decode(data, REPORTS) for data in reader.feed(frames)]
        assert reader.broken is None


class FrameTemplatesTest(unittest.TestCase):
    """What is filled in says the same as what is encoded."""

    def setUp(self) -> None:
        self.wire = Wire()
        self.reporter = Reporter(self.wire, ATTEMPT, forms_for(ATTEMPT))  # type: ignore[arg-type]

    def said(self) -> list[Report]:
        said, self.wire.sent = self.wire.sent, []
        return said

    def test_a_test_that_passes(self) -> None:
        who: dict[str, Any] = {"attempt": ATTEMPT, "pid": os.getpid()}
        self.reporter.hold(ChildReady, at=12345.678901234)
        self.reporter.send(TestStarted, test=0)
        self.assertEqual(self.said(), [ChildReady(at=12345.678901234, **who), TestStarted(test=0, **who)])
        self.reporter.hold(TestEnded, **FINISHED)
        self.reporter.send(WorkFinished, **RECEIPT)
        self.assertEqual(self.said(), [TestEnded(**FINISHED, **who), WorkFinished(**RECEIPT, **who)])
        self.assertEqual(len(self.wire.filled), 2)

    def test_a_call_that_returns(self) -> None:
        who: dict[str, Any] = {"attempt": ATTEMPT, "pid": os.getpid()}
        receipt: dict[str, Any] = {"clean": True, "looked": True, "elapsed": 1.5, "own_memory": 4096}
        receipt["found_after"] = 0.0
        for value in (None, "gAQu", "gASVBwAAAAAAAACMAyVzJZQu" * 100):
            with self.subTest(value):
                if value is not None:
                    self.reporter.hold(CallNoted, pickled=value)
                self.reporter.hold(TestEnded, **{**FINISHED, "written": None})
                self.reporter.send(WorkFinished, **receipt)
                told = [] if value is None else [CallNoted(pickled=value, **who)]
                self.assertEqual(self.said(), [*told, TestEnded(**FINISHED, **who), WorkFinished(**receipt, **who)])
        self.assertEqual(len(self.wire.filled), 3)
        oddities: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
            ({"saved": 7}, {}),
            ({"raised": "gAQu"}, {}),
            ({"pickled": "gAQu"}, {"own_memory": None}),
            ({"pickled": "gAQu"}, {"clean": False}),
            ({"pickled": "gAQu"}, {"looked": False}),
        )
        for noted, odd in oddities:
            with self.subTest(noted, **odd):
                self.reporter.hold(CallNoted, **noted)
                self.reporter.hold(TestEnded, **FINISHED)
                self.reporter.send(WorkFinished, **{**receipt, **odd})
                ended = [TestEnded(**FINISHED, **who), WorkFinished(**{**receipt, **odd}, **who)]
                self.assertEqual(self.said(), [CallNoted(**noted, **who), *ended])
        self.assertEqual(len(self.wire.filled), 3)

    def test_no_heartbeat_overtakes_what_is_held(self) -> None:
        """Where the runner cannot ask for heartbeats, as on Windows, they begin by themselves."""
        self.addCleanup(heartbeat.disarm_heartbeat)
        self.reporter.hold(ChildReady, at=1.0)
        self.reporter.arm_heartbeat(1000.0, starts=True)
        wait_until(lambda: len(self.wire.sent) > 1, "the first heartbeat")
        self.assertEqual([type(report) for report in self.wire.sent], [ChildReady, Heartbeat])

    def test_all_else_is_encoded(self) -> None:
        who: dict[str, Any] = {"attempt": ATTEMPT, "pid": os.getpid()}
        oddities: tuple[dict[str, Any], ...] = (
            {"duration": 3},  # a test has replaced the clock
            {"duration": -1.0},
            {"duration": 1e300},
            {"succeeded": False},
            {"counted": False},
            {"written": {"stdout": 1, "stderr": 2}},
        )
        for odd in oddities:
            with self.subTest(odd):
                self.reporter.hold(TestEnded, **{**FINISHED, **odd})
                self.reporter.send(WorkFinished, **RECEIPT)
                finished = TestEnded(**{**FINISHED, **odd}, **who)
                self.assertEqual(self.said(), [finished, WorkFinished(**RECEIPT, **who)])
        oddities = ({"clean": False}, {"stopped": True}, {"fixtures": {"setUpClass (a.B)": 1.0}}, {"peak_rss": 1})
        for odd in oddities:
            with self.subTest(odd):
                self.reporter.hold(TestEnded, **FINISHED)
                self.reporter.send(WorkFinished, **{**RECEIPT, **odd})
                receipt = WorkFinished(**{**RECEIPT, **odd}, **who)
                self.assertEqual(self.said(), [TestEnded(**FINISHED, **who), receipt])
        self.reporter.hold(ChildReady, at=1.0)
        self.reporter.send(FixtureStarted, fixture="setUpClass (a.B)")
        self.assertEqual([type(one) for one in self.said()], [ChildReady, FixtureStarted])
        self.assertEqual(self.wire.filled, [])

    def test_names_of_attempts(self) -> None:
        self.assertIs(forms_for(ATTEMPT), forms_for(ATTEMPT.replace("1", "2")), "one for a length")
        for name in ('a"b', "a\\b", "é", "a\nb"):
            self.assertFalse(is_plain(name), name)
            self.assertIsNone(forms_for(name), name)
        for length in range(1, 300):  # the length of a frame may be any byte, one that means something to % too
            forms = FrameTemplates(length)
            filled = forms.fill(b"x" * length, 7, [(ChildReady, {"at": 1.0}), (TestStarted, {"test": 0})])
            assert filled is not None
            first, second = (decode(data, REPORTS) for data in FrameReader().feed(filled))
            self.assertEqual(first, ChildReady(attempt="x" * length, pid=7, at=1.0))
            self.assertEqual(second, TestStarted(attempt="x" * length, pid=7, test=0))
