"""The state machine of an attempt, without a process and without a clock."""

from __future__ import annotations

import copy
import unittest
from collections.abc import Sequence
from typing import Any

from isolatedunit.engine import attempt as machine
from isolatedunit.engine.attempt import KILL_AGAIN_AFTER, NEVER, STACKS_GRACE, Attempt, State
from isolatedunit.engine.stimuli import (
    Action,
    Announce,
    CancelRequested,
    ChannelLost,
    ChildExited,
    Conclude,
    DeadlinePassed,
    DumpStacks,
    FoundWaiting,
    Kill,
    LimitExceeded,
    Nudge,
    ProtocolBroken,
    SlotGranted,
    Spawn,
    SpawnFailed,
    Stimulus,
    Terminate,
)
from isolatedunit.errors import InvalidTransition
from isolatedunit.events import ChildUnresponsive, TestSlow
from isolatedunit.messages import (
    ChildFailed,
    ChildReady,
    FixtureStarted,
    HandlesCleaned,
    Heartbeat,
    ImportStarted,
    LoadStarted,
    OutcomeNoted,
    TestFinished,
    TestsCollected,
    TestStarted,
    WorkFinished,
)
from isolatedunit.options import Options
from isolatedunit.results import ExitStatus, PlannedTest

PID = 4711
SAID = {"attempt": "run/0#1", "pid": PID}


def planned(number: int = 0, **values: Any) -> PlannedTest:
    """A test of ``pkg.mod.Class``."""
    name = f"test_{number}"
    return PlannedTest(number, f"pkg.mod.Class.{name}", name, None, "pkg.mod.Class", "pkg.mod", **values)


def make(count: int = 1, **options: Any) -> Attempt:
    """An attempt at *count* tests of one class."""
    return Attempt("run/0#1", [planned(number) for number in range(count)], Options(**options))


def started(test: int = 0) -> TestStarted:
    return TestStarted(**SAID, test=test)


def finished(test: int = 0, succeeded: bool = True) -> TestFinished:
    return TestFinished(**SAID, test=test, duration=0.5, counted=True, succeeded=succeeded)


def noted(test: int | None = 0, fixture: str | None = None, kind: str = "addFailure") -> OutcomeNoted:
    return OutcomeNoted(**SAID, test=test, fixture=fixture, kind=kind, text="text", message="message")


READY = ChildReady(**SAID)
RECEIPT = WorkFinished(**SAID, peak_rss=1000)
EXITED = ChildExited(ExitStatus(exit_code=0))
SEGFAULT = ChildExited(ExitStatus(signal="SIGSEGV"), "the stack")


def drive(attempt: Attempt, *stimuli: Stimulus, at: float = 0.0, step: float = 0.1) -> list[Action]:
    """Tell the attempt the stimuli, *step* seconds apart; gives the last one's actions."""
    actions: list[Action] = []
    for stimulus in stimuli:
        actions = attempt.handle(stimulus, at)
        at += step
    return actions


class OrdinaryCourseTest(unittest.TestCase):
    def test_a_test_that_passes(self) -> None:
        attempt = make()
        self.assertEqual(drive(attempt, SlotGranted()), [Spawn()])
        actions = drive(attempt, READY, started(), finished(), RECEIPT, EXITED, at=1.0)
        self.assertEqual(actions, [Conclude()])
        self.assertIs(attempt.state, State.DONE)
        ((test, record),) = attempt.conclusion.settled
        self.assertEqual((test.number, record.succeeded, record.duration, record.cause), (0, True, 0.5, None))
        self.assertEqual(attempt.peak_rss, 1000)
        self.assertIsNone(attempt.cause)

    def test_times_of_the_attempt(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, started(), finished(), RECEIPT, EXITED, at=10.0, step=1.0)
        self.assertEqual(
            (attempt.spawned_at, attempt.ready_at, attempt.finished_at, attempt.ended_at), (10, 11, 14, 15)
        )

    def test_notes_are_kept_with_their_test(self) -> None:
        attempt = make(2)
        drive(attempt, SlotGranted(), READY, started(0), noted(0), finished(0, False), started(1), finished(1), RECEIPT)
        drive(attempt, EXITED, at=9.0)
        first, second = (record for _, record in attempt.conclusion.settled)
        self.assertEqual([note.message for note in first.notes], ["message"])
        self.assertEqual(second.notes, [])

    def test_reports_of_another_process_do_not_count(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, started())
        twin = TestFinished(attempt="run/0#1", pid=PID + 1, test=0, duration=0.0, counted=True, succeeded=True)
        receipt = WorkFinished(attempt="run/0#1", pid=PID + 1)
        self.assertEqual(drive(attempt, twin, receipt, at=1.0), [])
        drive(attempt, EXITED, at=2.0)
        self.assertEqual(attempt.cause, "crash")

    def test_a_fixture_that_fails_covers_its_tests(self) -> None:
        attempt = make(2)
        fixture = "setUpClass (pkg.mod.Class)"
        drive(
            attempt,
            SlotGranted(),
            READY,
            FixtureStarted(**SAID, fixture=fixture),
            noted(None, fixture, "addError"),
            RECEIPT,
            EXITED,
        )
        self.assertEqual(list(attempt.conclusion.fixtures), [fixture])
        self.assertEqual([test.number for test in attempt.conclusion.covered], [0, 1])
        self.assertEqual(attempt.conclusion.settled, [])

    def test_a_test_that_unittest_said_nothing_about_is_an_error(self) -> None:
        attempt = make(2)
        drive(attempt, SlotGranted(), READY, started(0), finished(0), RECEIPT, EXITED)
        (_, silent) = attempt.conclusion.settled[1]
        self.assertIn("told nothing", silent.notes[0].text)

    def test_tests_after_a_stop_are_told_as_stopped(self) -> None:
        attempt = make(2, failfast=True)
        receipt = WorkFinished(**SAID, stopped=True)
        drive(attempt, SlotGranted(), READY, started(0), noted(0), finished(0, False), receipt, EXITED)
        self.assertEqual([test.number for test in attempt.conclusion.stopped], [1])


class EndsWithoutReceiptTest(unittest.TestCase):
    """An exit without a receipt is a crash, whatever the exit code."""

    def outcome_of(self, *stimuli: Stimulus, count: int = 1) -> Attempt:
        attempt = make(count)
        drive(attempt, SlotGranted(), READY, *stimuli)
        self.assertIs(attempt.state, State.DONE)
        return attempt

    def test_an_exit_with_code_0_in_a_test(self) -> None:
        attempt = self.outcome_of(started(), EXITED)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual((record.cause, record.succeeded), ("crash", False))
        self.assertIn("exited with code 0", record.notes[-1].text)

    def test_the_stack_is_told(self) -> None:
        attempt = self.outcome_of(started(), SEGFAULT)
        ((_, record),) = attempt.conclusion.settled
        self.assertIn("SIGSEGV", record.notes[-1].message)
        self.assertIn("the stack", record.notes[-1].text)

    def test_a_test_that_had_finished_is_not_believed_when_its_fixtures_crash(self) -> None:
        fixture = FixtureStarted(**SAID, fixture="tearDownClass (pkg.mod.Class)")
        attempt = self.outcome_of(started(), finished(), fixture, EXITED)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual(record.cause, "crash")
        self.assertIn("tearDownClass (pkg.mod.Class)", record.notes[-1].text)

    def test_of_several_tests_the_running_one_is_charged_and_the_rest_remain(self) -> None:
        attempt = self.outcome_of(started(0), finished(0), started(1), EXITED, count=4)
        causes = {test.number: record.cause for test, record in attempt.conclusion.settled}
        self.assertEqual(causes, {0: None, 1: "crash"})
        self.assertEqual([test.number for test in attempt.conclusion.remaining], [2, 3])

    def test_a_crash_before_any_test_is_charged_to_the_first(self) -> None:
        attempt = self.outcome_of(EXITED, count=2)
        self.assertEqual([test.number for test, _ in attempt.conclusion.settled], [0])
        self.assertEqual([test.number for test in attempt.conclusion.remaining], [1])

    def test_a_crash_in_setupclass_is_the_fixtures_and_covers_its_tests(self) -> None:
        fixture = "setUpClass (pkg.mod.Class)"
        attempt = self.outcome_of(FixtureStarted(**SAID, fixture=fixture), EXITED, count=2)
        notes, cause = attempt.conclusion.fixtures[fixture]
        self.assertEqual((cause, len(notes)), ("crash", 1))
        self.assertEqual(len(attempt.conclusion.covered), 2)

    def test_a_failure_noted_before_the_crash_is_kept(self) -> None:
        attempt = self.outcome_of(started(), noted(), EXITED)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual([note.kind for note in record.notes], ["addFailure", "addError"])

    def test_the_kernels_cpu_limit_is_told_from_a_crash(self) -> None:
        attempt = make(cpu_limit=1.0)
        drive(attempt, SlotGranted(), READY, started(), ChildExited(ExitStatus(signal="SIGXCPU")))
        self.assertEqual(attempt.cause, "cpu")

    def test_a_crash_after_the_receipt_changes_nothing(self) -> None:
        attempt = self.outcome_of(started(), finished(), RECEIPT, SEGFAULT)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual((record.cause, record.succeeded), (None, True))
        self.assertEqual(attempt.evidence.status.signal, "SIGSEGV")


class TimeTest(unittest.TestCase):
    def running(self, **options: Any) -> Attempt:
        attempt = make(**{"heartbeat_interval": 1000.0, "slow_after": None, **options})
        drive(attempt, SlotGranted(), READY, started(), step=0.0)
        return attempt

    def test_no_sign_of_life(self) -> None:
        attempt = make(spawn_timeout=5.0)
        drive(attempt, SlotGranted())
        self.assertEqual(attempt.deadline, 5.0)
        self.assertEqual(attempt.handle(DeadlinePassed(), 5.0), [Terminate()])
        drive(attempt, EXITED, at=6.0)
        failure = attempt.conclusion.spawn_failure
        self.assertIsNotNone(failure)
        self.assertIn("within 5 s", failure.text if failure else "")
        self.assertEqual(len(attempt.conclusion.remaining), 1)

    def test_an_import_in_the_template_may_take_as_long_as_a_test(self) -> None:
        attempt = make(spawn_timeout=5.0, process_timeout=30.0)
        drive(attempt, SlotGranted())
        drive(attempt, LoadStarted(**SAID), at=1.0)
        self.assertEqual(attempt.deadline, 31.0)

    def test_out_of_time_dumps_stacks_terminates_and_kills_again_and_again(self) -> None:
        attempt = self.running(process_timeout=10.0, terminate_grace=2.0)
        self.assertEqual(attempt.deadline, 10.0)
        now = 10.0
        for action, grace in (
            (DumpStacks(), STACKS_GRACE),
            (Terminate(), 2.0),
            (Kill(), KILL_AGAIN_AFTER),
            (Kill(), KILL_AGAIN_AFTER),
        ):
            self.assertEqual(attempt.handle(DeadlinePassed(), now), [action])
            self.assertEqual(attempt.deadline, now + grace)
            now = attempt.deadline
        drive(attempt, ChildExited(ExitStatus(signal="SIGKILL"), "the stacks"), at=now)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual(record.cause, "timeout")
        self.assertIn("within 10 s", record.notes[-1].message)
        self.assertIn("the stacks", record.notes[-1].text)

    def test_each_test_of_several_has_the_whole_time(self) -> None:
        attempt = make(2, process_timeout=10.0, heartbeat_interval=1000.0, slow_after=None)
        drive(attempt, SlotGranted(), READY, started(0), step=0.0)
        drive(attempt, finished(0), started(1), at=9.0, step=0.0)
        self.assertEqual(attempt.deadline, 19.0)

    def test_each_test_of_several_has_its_own_time(self) -> None:
        tests = [planned(0), planned(1, overrides={"process_timeout": 3.0})]
        options = Options(process_timeout=10.0, heartbeat_interval=1000.0, slow_after=None)

        def options_of(test: PlannedTest) -> Options:
            return options.with_values(test.overrides, "here")

        attempt = Attempt("run/0#1", tests, options, options_of)
        drive(attempt, SlotGranted(), READY, started(0), finished(0), started(1), step=0.0)
        self.assertEqual(attempt.deadline, 3.0)

    def test_no_limit(self) -> None:
        attempt = self.running(process_timeout=None)
        self.assertEqual(attempt.deadline, 1000.0)  # to listen for a heartbeat
        self.assertEqual(attempt.handle(DeadlinePassed(), 1000.0), [Nudge()])
        self.assertIs(attempt.state, State.RUNNING)

    def test_slow_is_told_once(self) -> None:
        attempt = self.running(slow_after=2.0, process_timeout=10.0)
        (action,) = attempt.handle(DeadlinePassed(), 2.0)
        self.assertIsInstance(action, Announce)
        event = action.event  # type: ignore[union-attr]
        self.assertEqual(event, TestSlow(2.0, "run/0#1", "pkg.mod.Class.test_0", 2.0))
        self.assertEqual(attempt.deadline, 10.0)

    def test_a_process_that_will_not_leave_is_a_leak_and_no_failure(self) -> None:
        attempt = self.running(cleanup_timeout=3.0)
        drive(attempt, finished(), RECEIPT, step=0.0)
        self.assertEqual(attempt.deadline, 3.0)
        self.assertEqual(attempt.handle(DeadlinePassed(), 3.0), [Terminate()])
        drive(attempt, ChildExited(ExitStatus(signal="SIGTERM")), at=4.0)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual((record.cause, record.succeeded), (None, True))
        self.assertEqual(attempt.evidence.handle_stats["by_kind"], {"exit": 1})

    def test_the_first_cause_wins(self) -> None:
        attempt = self.running(process_timeout=10.0)
        attempt.handle(LimitExceeded("memory", "too much"), 1.0)
        attempt.handle(CancelRequested(), 2.0)
        attempt.handle(ProtocolBroken("garbage"), 2.0)
        attempt.handle(finished(), 2.5)
        attempt.handle(RECEIPT, 2.5)
        drive(attempt, EXITED, at=3.0)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual(record.cause, "memory")

    def test_what_grows_is_killed_without_grace(self) -> None:
        attempt = self.running()
        self.assertEqual(attempt.handle(LimitExceeded("memory", "too much"), 1.0), [Kill()])


class HeartbeatTest(unittest.TestCase):
    def running(self) -> Attempt:
        attempt = make(heartbeat_interval=1.0, process_timeout=None, slow_after=None)
        drive(attempt, SlotGranted(), READY, started(), step=0.0)
        return attempt

    def test_a_silent_child_is_nudged_and_then_told_once_as_unresponsive(self) -> None:
        attempt = self.running()
        for second in (1.0, 2.0, 3.0, 4.0):
            self.assertEqual(attempt.handle(DeadlinePassed(), second), [Nudge()])
        nudge, told = attempt.handle(DeadlinePassed(), 5.0)
        self.assertEqual(nudge, Nudge())
        event = told.event  # type: ignore[union-attr]
        self.assertEqual(event, ChildUnresponsive(5.0, "run/0#1", "pkg.mod.Class.test_0", 5.0))
        self.assertEqual(attempt.handle(DeadlinePassed(), 6.0), [Nudge()])

    def test_a_child_whose_heart_beats_is_left_alone(self) -> None:
        attempt = self.running()
        attempt.handle(DeadlinePassed(), 1.0)
        for second in range(1, 100):
            attempt.handle(Heartbeat(**SAID), second + 0.01)
            if attempt.deadline <= second + 1:
                self.assertEqual(attempt.handle(DeadlinePassed(), second + 1.0), [])

    def test_a_child_that_sleeps_is_not_unresponsive(self) -> None:
        attempt = self.running()
        for second in range(1, 20):
            actions = attempt.handle(DeadlinePassed(), float(second))
            self.assertNotIn(Announce, map(type, actions))
            attempt.handle(FoundWaiting(), float(second))

    def test_a_child_that_is_heard_of_again_may_fall_silent_again(self) -> None:
        attempt = self.running()
        for second in (1.0, 2.0, 3.0, 4.0):
            attempt.handle(DeadlinePassed(), second)
        self.assertEqual(len(attempt.handle(DeadlinePassed(), 5.0)), 2)
        attempt.handle(Heartbeat(**SAID), 5.5)
        told = [
            action
            for second in range(6, 20)
            if attempt.deadline <= second
            for action in attempt.handle(DeadlinePassed(), float(second))
            if isinstance(action, Announce)
        ]
        self.assertEqual(len(told), 1)


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
        self.assertIn("a bug of isolatedunit", text)
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
        self.assertEqual((attempt.importing, attempt.cause, attempt.received_all), ("test_a", "crash", False))

    def test_each_module_has_the_whole_time(self) -> None:
        attempt = self.collecting()
        drive(attempt, ImportStarted(**SAID, module="test_a"), at=9.0)
        self.assertEqual(attempt.deadline, 19.0)


def every_stimulus() -> Sequence[Stimulus]:
    """One of each kind, and of those that matter by what they say, one of each."""
    return (
        SlotGranted(),
        SpawnFailed("no"),
        LoadStarted(**SAID),
        READY,
        started(),
        noted(),
        noted(None, "setUpClass (pkg.mod.Class)", "addError"),
        finished(),
        RECEIPT,
        HandlesCleaned(**SAID, handle_stats={}),
        ProtocolBroken("garbage"),
        LimitExceeded("memory", "too much"),
        DeadlinePassed(),
        CancelRequested(),
        CancelRequested(force=True),
        EXITED,
    )


def clone(attempt: Attempt) -> Attempt:
    """A copy that shares nothing which changes; several times faster than `copy.deepcopy`."""
    twin = copy.copy(attempt)
    for name in ("story", "collected", "_ladder"):
        setattr(twin, name, list(getattr(attempt, name)))
    twin.evidence = copy.deepcopy(attempt.evidence)
    twin.conclusion = copy.deepcopy(attempt.conclusion)
    return twin


class EverySequenceTest(unittest.TestCase):
    """All sequences of seven stimuli; from where two of them lead to the same, they are followed once."""

    LENGTH = 7
    # when it was does not change what happens, and nor does how it came to this
    IRRELEVANT = (
        "story",
        "spawned_at",
        "ready_at",
        "finished_at",
        "ended_at",
        "deadline",
        "_out_of_time",
        "_slow_at",
        "_listen_at",
        "_started_at",
        "_heard_at",
    )

    def test_every_sequence_concludes_at_most_once_and_never_blocks(self) -> None:
        self.stimuli = every_stimulus()
        self.states: set[State] = set()
        self.explored: set[tuple[int, str]] = set()
        self.count = 0
        self.explore(make(), 0)
        self.assertEqual(self.states, set(State))
        self.assertGreater(self.count, 1_000)

    def explore(self, attempt: Attempt, depth: int) -> None:
        known = {name: value for name, value in vars(attempt).items() if name not in self.IRRELEVANT}
        known["evidence"] = vars(attempt.evidence)
        if (depth, repr(known)) in self.explored:
            return
        self.explored.add((depth, repr(known)))
        self.states.add(attempt.state)
        if attempt.state is State.DONE:
            self.check_done(attempt)
            return
        self.check_way_out(attempt)
        if depth == self.LENGTH:
            return
        for stimulus in self.stimuli:
            twin = clone(attempt)
            now = max(depth + 0.0, 0.0 if twin.deadline == NEVER else twin.deadline)
            self.count += 1
            try:
                actions = twin.handle(stimulus, now)
            except InvalidTransition:
                continue
            self.assertEqual(actions.count(Conclude()), int(twin.state is State.DONE))
            self.explore(twin, depth + 1)

    def check_done(self, attempt: Attempt) -> None:
        """Every test is accounted for, once; nothing can make it conclude again."""
        conclusion = attempt.conclusion
        numbers = [test.number for test, _ in conclusion.settled]
        numbers += [test.number for test in (*conclusion.remaining, *conclusion.covered, *conclusion.stopped)]
        self.assertEqual(numbers, [0])
        for stimulus in self.stimuli:
            try:
                self.assertEqual(clone(attempt).handle(stimulus, 99.0), [])
            except InvalidTransition:
                continue

    def check_way_out(self, attempt: Attempt) -> None:
        """Time alone brings a live attempt to a Kill, and the child's end then to DONE."""
        twin = clone(attempt)
        if twin.state is State.QUEUED:
            self.assertEqual(twin.handle(CancelRequested(), 0.0), [Conclude()])
            return
        for _ in range(60):
            self.assertLess(twin.deadline, NEVER, twin.tell_story())
            if Kill() in twin.handle(DeadlinePassed(), twin.deadline):
                break
        else:
            self.fail(f"time did not end {twin.tell_story()}")
        self.assertEqual(twin.handle(EXITED, twin.deadline), [Conclude()])


class TableTest(unittest.TestCase):
    def test_every_state_has_its_handlers(self) -> None:
        self.assertEqual(set(machine._HANDLERS), set(State))


if __name__ == "__main__":
    unittest.main()
