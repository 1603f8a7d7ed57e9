"""The attempt's state machine: without these tests, a crash could pass, or a process be waited for without end."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.deadlines import KILL_AGAIN_AFTER, STACKS_GRACE
from isolatedunit.engine.attempt.diagnosis import LOOK_INTERVAL
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import (
    Announce,
    CancelRequested,
    ChildExited,
    Conclude,
    DeadlinePassed,
    DumpStacks,
    Examine,
    Examined,
    FoundWaiting,
    Kill,
    LimitExceeded,
    Nudge,
    ProtocolBroken,
    SlotGranted,
    Spawn,
    State,
    Stimulus,
    Terminate,
)
from isolatedunit.model.events import ChildUnresponsive, PhaseSeen, TestSlow
from isolatedunit.model.results import ExitStatus, PlannedTest, worst_outcome
from isolatedunit.model.usage import Condition
from isolatedunit.protocol.messages import (
    ChildReady,
    FixtureStarted,
    HandlesCleaned,
    Heartbeat,
    LoadFinished,
    LoadStarted,
    TestEnded,
    WorkFinished,
)
from tests.support.attempts import (
    EXITED,
    PID,
    READY,
    RECEIPT,
    SAID,
    SEGFAULT,
    drive,
    finished,
    make,
    noted,
    planned,
    started,
)


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

    def test_when_a_child_was_ready_is_what_it_says_as_far_as_that_can_be(self) -> None:
        for said, ready in ((11.5, 11.5), (9.0, 10.0), (99.0, 12.0), (None, 12.0)):
            with self.subTest(said=said):
                attempt = make()
                drive(attempt, SlotGranted(), at=10.0)
                drive(attempt, ChildReady(**SAID, at=said), at=12.0)
                self.assertEqual(attempt.ready_at, ready)

    def test_a_clean_receipt_tells_that_nothing_was_left(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, started(), finished(), WorkFinished(**SAID, clean=True), EXITED)
        self.assertEqual(attempt.evidence.leftovers.stats, {"leaked": 0, "by_kind": {}, "leaks": []})

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
        twin = TestEnded(attempt="run/0#1", pid=PID + 1, test=0, duration=0.0, counted=True, succeeded=True)
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
        self.assertIn("reported nothing", silent.notes[0].text)

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

    def test_what_all_processes_used_together_is_looked_at_when_the_test_is_over(self) -> None:
        for used, told in ((0.9, (None, [])), (2.0, ("cpu", ["addError"]))):
            with self.subTest(used):
                attempt = make(cpu_limit=1.0)
                ended = ChildExited(ExitStatus(exit_code=0, cpu_time=used))
                drive(attempt, SlotGranted(), READY, started(), finished(), RECEIPT, ended)
                ((_, record),) = attempt.conclusion.settled
                self.assertEqual((record.cause, [note.kind for note in record.notes]), told)

    def test_a_crash_after_the_receipt_costs_the_test_its_pass(self) -> None:
        attempt = self.outcome_of(started(), finished(), RECEIPT, SEGFAULT)
        ((_, record),) = attempt.conclusion.settled
        self.assertEqual((record.cause, record.notes[-1].kind), ("crash", "addError"))
        self.assertIn("SIGSEGV after its test had passed", record.notes[-1].message)
        self.assertEqual(attempt.evidence.status.signal, "SIGSEGV")


class LeftoversTest(unittest.TestCase):
    def test_one_that_the_child_has_told_is_not_told_again(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY, started(), finished(), RECEIPT)
        leak = {"kind": "process", "identity": "sleep 1000 (process 7)", "origin": "x.py:1 in test"}
        drive(attempt, HandlesCleaned(**SAID, handle_stats={"leaked": 1, "by_kind": {"process": 1}, "leaks": [leak]}))
        left = ({"pid": 7, "command": "sleep 1000"}, {"pid": 8, "command": "sleep 1000"})
        drive(attempt, ChildExited(ExitStatus(exit_code=0, leftovers=left)))
        told = [one["identity"] for one in attempt.evidence.leftovers.stats["leaks"]]
        self.assertEqual(told, ["sleep 1000 (process 7)", "sleep 1000 (process 8)"])


class TimeTest(unittest.TestCase):
    def running(self, **options: Any) -> Attempt:
        attempt = make(**{"heartbeat_interval": 1000.0, "slow_after": None, **options})
        drive(attempt, SlotGranted(), READY, started(), step=0.0)
        return attempt

    def test_no_sign_of_life(self) -> None:
        attempt = make(spawn_timeout=5.0)
        drive(attempt, SlotGranted())
        self.assertEqual(attempt.deadline, 5.0)
        self.assertEqual(attempt.handle(DeadlinePassed(), 5.0), [Examine()])
        self.assertEqual(attempt.handle(Examined(None), 5.0), [Terminate()])
        drive(attempt, EXITED, at=6.0)
        failure = attempt.conclusion.spawn_failure
        self.assertIsNotNone(failure)
        self.assertIn("within 5 s", failure.text if failure else "")
        self.assertEqual(len(attempt.conclusion.remaining), 1)

    def test_a_child_that_is_ready_when_it_is_being_terminated_is_not_tried_again(self) -> None:
        """It may have run its test before the signal reached it, which a second child would do again."""
        for more, expected in (
            ((started(), finished(), RECEIPT, EXITED), ("passed", None)),
            ((started(), finished(), RECEIPT, ChildExited(ExitStatus(signal="SIGTERM"))), ("passed", None)),
            ((started(), ChildExited(ExitStatus(signal="SIGTERM"))), ("error", "spawn")),
        ):
            attempt = make(spawn_timeout=5.0)
            drive(attempt, SlotGranted(), DeadlinePassed(), Examined(None), step=5.0)
            drive(attempt, READY, *more, at=16.0)
            self.assertIsNone(attempt.conclusion.spawn_failure)
            self.assertEqual(attempt.conclusion.remaining, [])
            ((_, record),) = attempt.conclusion.settled
            self.assertEqual((worst_outcome(record.notes, succeeded=record.succeeded), record.cause), expected)

    def test_on_a_busy_machine_a_sign_of_life_takes_longer_once(self) -> None:
        attempt = make(spawn_timeout=5.0)
        drive(attempt, SlotGranted(), DeadlinePassed(), step=5.0)
        self.assertEqual(attempt.handle(Examined(None, load=3.0), 5.0), [])
        self.assertEqual(attempt.deadline, 15.0)
        drive(attempt, DeadlinePassed(), at=15.0)
        self.assertEqual(attempt.handle(Examined(None, load=9.0), 15.0), [Terminate()])
        drive(attempt, EXITED, at=16.0)
        assert attempt.conclusion.spawn_failure is not None
        self.assertIn("within 15 s", attempt.conclusion.spawn_failure.text)

    def test_without_messages_the_time_limit_is_the_tests_also_after_its_import(self) -> None:
        attempt = make(spawn_timeout=5.0, process_timeout=30.0, enable_ipc=False)
        drive(attempt, SlotGranted())
        self.assertEqual(attempt.deadline, 30.0)
        drive(attempt, LoadStarted(**SAID), LoadFinished(**SAID, duration=1.0), at=2.0, step=2.0)
        self.assertEqual(attempt.deadline, 34.0)
        starved = Condition("running", 1.0, 1.0, 22.0 + 2.0 / 3)  # of which 20 since the import
        self.assertEqual(attempt.handle(DeadlinePassed(), 34.0), [Examine()])
        self.assertEqual(attempt.handle(Examined(starved), 34.0), [])
        self.assertEqual(attempt.deadline, 54.0)
        self.assertEqual(attempt.handle(DeadlinePassed(), 54.0), [Examine()])
        self.assertEqual(attempt.handle(Examined(starved), 54.0), [DumpStacks()])

    def test_an_import_in_the_template_may_take_as_long_as_a_test(self) -> None:
        attempt = make(spawn_timeout=5.0, process_timeout=30.0)
        drive(attempt, SlotGranted())
        (told,) = attempt.handle(LoadStarted(**SAID), 1.0)
        self.assertEqual(told, Announce(PhaseSeen(1.0, attempt.id, "", "import")))
        self.assertEqual(attempt.deadline, 31.0)

    def test_out_of_time_dumps_stacks_terminates_and_kills_again_and_again(self) -> None:
        attempt = self.running(process_timeout=10.0, terminate_grace=2.0)
        self.assertEqual(attempt.deadline, 10.0)
        now = 10.0
        self.assertEqual(attempt.handle(DeadlinePassed(), now), [Examine()])
        self.assertEqual(attempt.handle(Examined(None), now), [DumpStacks()])
        self.assertEqual(attempt.deadline, now + LOOK_INTERVAL)
        now = attempt.deadline
        for action, grace in (
            (DumpStacks(), LOOK_INTERVAL),
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
        event = action.event
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
        self.assertEqual(attempt.evidence.leftovers.stats["by_kind"], {"exit": 1})

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
        event = told.event
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

    def test_the_last_report_of_a_child_that_sleeps_tells_its_phase(self) -> None:
        attempt = make()
        drive(attempt, SlotGranted(), READY)
        fixture = "setUpClass (pkg.mod.Class)"
        for report, running, phase in (
            (Heartbeat(**SAID), "", "import"),
            (FixtureStarted(**SAID, fixture=fixture), fixture, "setUpClass"),
            (started(), attempt.tests[0].id, "test"),
            (finished(), "", "waiting"),
        ):
            attempt.handle(report, 1.0)
            told = attempt.handle(FoundWaiting("lock"), 2.0)
            self.assertEqual(told, [Announce(PhaseSeen(2.0, attempt.id, running, phase, "lock"))])

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
