"""How attempts end: without these tests, an attempt that is cancelled or breaks the protocol could go on."""

from __future__ import annotations

import unittest

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import (
    CancelRequested,
    ChannelLost,
    ChildExited,
    Conclude,
    DeadlinePassed,
    Kill,
    ProtocolBroken,
    SlotGranted,
    SpawnFailed,
    Terminate,
)
from isolatedunit.errors import InvalidTransition
from isolatedunit.model.results import ExitStatus
from isolatedunit.protocol.messages import (
    ChildFailed,
    ImportStarted,
    TestsCollected,
)
from tests.support.attempts import (
    EXITED,
    READY,
    RECEIPT,
    SAID,
    drive,
    finished,
    make,
    noted,
    started,
)


class SpawnTest(unittest.TestCase):
    def test_a_spawn_that_fails(self) -> None:
        attempt = make()
        self.assertEqual(drive(attempt, SlotGranted(), SpawnFailed("no memory")), [Conclude()])
        self.assertEqual(attempt.conclusion.spawn_failure, SpawnFailed("no memory"))

    def test_a_child_that_ends_before_it_is_ready(self) -> None:
        attempt = make()
        exited = ChildExited(ExitStatus(exit_code=1), "its words")
        self.assertEqual(drive(attempt, SlotGranted(), exited), [Conclude()])
        failure = attempt.conclusion.spawn_failure
        self.assertIn("exited with code 1", failure.text if failure else "")


class CancelTest(unittest.TestCase):
    def test_before_it_began(self) -> None:
        attempt = make(2)
        self.assertEqual(drive(attempt, CancelRequested()), [Conclude()])
        self.assertEqual(len(attempt.conclusion.stopped), 2)

    def test_while_it_is_spawned(self) -> None:
        attempt = make()
        self.assertEqual(drive(attempt, SlotGranted(), CancelRequested()), [Terminate()])
        drive(attempt, EXITED)
        self.assertEqual(len(attempt.conclusion.stopped), 1)
        self.assertEqual(attempt.conclusion.settled, [])

    def test_while_it_runs(self) -> None:
        attempt = make(2)
        drive(attempt, SlotGranted(), READY, started(0))
        self.assertEqual(drive(attempt, CancelRequested("Ctrl-C")), [Terminate()])
        drive(attempt, EXITED)
        ((test, record),) = attempt.conclusion.settled
        self.assertEqual((test.number, record.cause), (0, "cancelled"))
        self.assertIn("Ctrl-C", record.notes[-1].text)

    def test_twice(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, started(), CancelRequested())
        self.assertEqual(drive(attempt, CancelRequested(force=True), at=1.0), [Kill()])

    def test_while_it_leaves(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, started(), finished(), RECEIPT)
        self.assertEqual(drive(attempt, CancelRequested(), at=1.0), [])
        drive(attempt, EXITED, at=2.0)
        self.assertIsNone(attempt.conclusion.settled[0][1].cause)


class ProtocolTest(unittest.TestCase):
    def test_garbage_ends_the_attempt_and_nothing_else(self) -> None:
        attempt = make()
        self.assertEqual(drive(attempt, SlotGranted(), READY, started(), ProtocolBroken("xyz")), [Terminate()])
        drive(attempt, EXITED, at=1.0)
        self.assertEqual(attempt.conclusion.settled[0][1].cause, "ipc")

    def test_a_report_that_makes_no_sense(self) -> None:
        for report in (started(5), finished(-1), noted(7), noted(None)):
            with self.subTest(report=report):
                attempt = make()
                self.assertEqual(drive(attempt, SlotGranted(), READY, report), [Terminate()])
                self.assertEqual(attempt.cause, "ipc")

    def test_what_is_said_after_the_receipt_changes_nothing(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, started(), finished(), RECEIPT)
        drive(attempt, noted(), started(3), ProtocolBroken("xyz"), EXITED, at=1.0)
        self.assertIsNone(attempt.cause)
        self.assertEqual(attempt.conclusion.settled[0][1].notes, [])

    def test_a_receipt_that_came_by_file_is_told(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, started(), ChannelLost(), finished(), RECEIPT, EXITED)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual((record.succeeded, record.cause), (True, "ipc"))

    def test_a_failure_of_our_own_tells_the_story(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, ChildFailed(**SAID, text="Traceback ..."), EXITED)
        text = attempt.conclusion.settled[0][1].notes[-1].text
        self.assertIn("a bug in isolatedunit", text)
        self.assertIn("SlotGranted", text)
        self.assertTrue(attempt.is_our_bug)

    def test_what_cannot_happen_raises_with_the_story(self) -> None:
        attempt = make()
        with self.assertRaises(InvalidTransition) as caught:
            attempt.handle(DeadlinePassed(), 0.0)
        self.assertIn("queued (run/0#1)", str(caught.exception))


class CollectionTest(unittest.TestCase):
    """The collector's attempt has no tests; what it imports is what it may die of."""

    def collecting(self) -> Attempt:
        attempt = Attempt(
            "run/collect#1", (), Options(heartbeat_interval=1000.0, slow_after=None, process_timeout=10.0)
        )
        drive(attempt, SlotGranted(), READY, step=0.0)
        return attempt

    def test_all_is_well(self) -> None:
        attempt = self.collecting()
        drive(attempt, ImportStarted(**SAID, module="test_a"), TestsCollected(**SAID, tests=[{"id": "a"}]))
        drive(attempt, TestsCollected(**SAID, tests=[], last=True), EXITED)
        self.assertTrue(attempt.received_all)
        self.assertEqual(len(attempt.collected), 2)

    def test_a_module_that_ends_it(self) -> None:
        attempt = self.collecting()
        drive(attempt, ImportStarted(**SAID, module="test_a"), EXITED)
        self.assertEqual((attempt.evidence.importing, attempt.cause, attempt.received_all), ("test_a", "crash", False))

    def test_each_module_has_the_whole_time(self) -> None:
        attempt = self.collecting()
        drive(attempt, ImportStarted(**SAID, module="test_a"), at=9.0)
        self.assertEqual(attempt.deadline, 19.0)
