"""One attempt at running tests in a child: a state machine without I/O and without a clock.

::

    QUEUED -SlotGranted-> SPAWNING -ChildReady-> RUNNING -WorkFinished-> EXITING -ChildExited-> DONE
                              |                     |                       |
                   DeadlinePassed, Cancel   DeadlinePassed, Cancel   DeadlinePassed
                              +---------------------+-----> TERMINATING <---+ -ChildExited-> DONE
                                                       DeadlinePassed: the next rung of the ladder

`Attempt.handle` is the only way in: it takes a stimulus and the time, and returns actions.
The first cause wins. The attempt's story keeps every stimulus; internal errors print it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.deadlines import LAST_RUNG, Deadlines, or_never, rungs
from isolatedunit.engine.attempt.diagnosis import Look, diagnose
from isolatedunit.engine.attempt.evidence import TOO_MUCH_ATTACHED, Evidence
from isolatedunit.engine.attempt.stimuli import (
    Action,
    Announce,
    Answer,
    CancelRequested,
    ChannelLost,
    ChildExited,
    Conclude,
    Conclusion,
    DeadlinePassed,
    Examine,
    Examined,
    FoundWaiting,
    LimitExceeded,
    Nudge,
    ProtocolBroken,
    SlotGranted,
    Spawn,
    SpawnFailed,
    State,
    Stimulus,
    Terminate,
)
from isolatedunit.engine.attempt.story import WEIGHTY, begin_story, format_story
from isolatedunit.errors import InvalidTransition
from isolatedunit.model import events
from isolatedunit.model.moments import NEVER
from isolatedunit.model.phases import PHASES
from isolatedunit.model.results import PlannedTest
from isolatedunit.protocol.messages import (
    ATTACHMENT,
    CallNoted,
    ChildFailed,
    ChildReady,
    FixtureStarted,
    HandlesCleaned,
    Heartbeat,
    ImportStarted,
    LoadFinished,
    LoadStarted,
    OutcomeNoted,
    ProgressReported,
    Report,
    Requested,
    TestEnded,
    TestsCollected,
    TestStarted,
    ValueReported,
    WorkFinished,
)


class Attempt:
    """One attempt. *options* are those of its child; *options_of* gives those of each test, if they may differ.

    `slot` is the number of its slot, from 1 on, or 0 while it has none.
    """

    # where thousands run at once, their size decides how often the processor has to wait for memory
    __slots__ = (
        *("id", "number", "tests", "options", "state", "deadline", "story", "evidence", "conclusion", "collected"),
        *("slot", "is_our_bug", "process_id", "peak_rss", "own_memory", "loaded_for", "shared_imports_loaded_for"),
        *("spawned_at", "ready_at", "finished_at", "ended_at", "_options_of", "_spawn_failure"),
        *("_deadlines", "_looks", "_ladder"),
    )

    def __init__(
        self,
        attempt_id: str,
        tests: Sequence[PlannedTest],
        options: Options,
        options_of: Callable[[PlannedTest], Options] | None = None,
        *,
        number: int = 1,
    ) -> None:
        self.id = attempt_id
        self.number = number
        self.slot = 0
        self.tests = tests
        self.options = options
        self.state = State.QUEUED
        self.deadline = NEVER
        self.story = begin_story()
        self.evidence = Evidence(tests)
        self.conclusion = _NOT_YET
        self.collected: list[TestsCollected] = []
        self.is_our_bug = False
        self.process_id: int | None = None
        self.peak_rss: int | None = None
        self.own_memory: int | None = None
        self.loaded_for = self.shared_imports_loaded_for = 0.0
        self.spawned_at = self.ready_at = self.finished_at = self.ended_at = NEVER
        self._options_of = options_of
        self._spawn_failure: SpawnFailed | None = None
        self._deadlines = Deadlines()
        self._looks: Sequence[Look] = ()
        self._ladder: list[tuple[Action, float]] | None = None

    @property
    def current(self) -> str:
        """unittest's id of what is running now; empty between tests."""
        current = self.evidence.current
        return self.tests[current].id if isinstance(current, int) else current or self.evidence.importing or ""

    @property
    def cause(self) -> str | None:
        """Why the attempt was ended, or ended early; None if it was not."""
        return self.evidence.cause

    @property
    def received_all(self) -> bool:
        """Whether the child has sent its receipt: every fixture and cleanup has run."""
        return self.evidence.receipt is not None

    def handle(self, stimulus: Stimulus, now: float) -> list[Action]:
        """The actions that follow from *stimulus*; raises `InvalidTransition` for one that cannot happen now."""
        kind = type(stimulus)
        self.story.append((now, self.state, kind if kind in WEIGHTY else stimulus))
        handler = _HANDLERS[self.state].get(kind)
        if handler is not None:
            return handler(self, stimulus, now)
        if isinstance(stimulus, Report):
            # a report that comes after the receipt, or while the child is being ended, changes nothing
            return [] if self.state in _DECIDED else self._unexpected(stimulus, now)
        raise InvalidTransition(f"{kind.__name__} cannot happen to an attempt that is {self.format_story()}")

    def format_story(self) -> str:
        """The state, and all stimuli that led to it, a line each."""
        return "\n".join([f"{self.state.value} ({self.id}):", *format_story(self.story)])

    # ---- spawning

    def _slot_granted(self, granted: SlotGranted, now: float) -> list[Action]:
        self.state = State.SPAWNING
        self.spawned_at = now if granted.since is None else min(granted.since, now)
        return [*self._await_child(now), Spawn()]

    def _await_child(self, now: float) -> list[Action]:
        # without messages, the child gives no sign of life before it has ended
        allowed = self.options.spawn_timeout if self.options.enable_ipc else self._timeout_of(0)
        self.deadline = self._deadlines.begin(now, allowed, None, may_start_late=self.options.enable_ipc)
        return []

    def _spawn_failed(self, failure: SpawnFailed, now: float) -> list[Action]:
        self._spawn_failure = failure
        return self._conclude(now)

    def _load_finished(self, report: LoadFinished, now: float) -> list[Action]:
        self.loaded_for, self.shared_imports_loaded_for = report.duration, report.shared_imports_duration
        return self._await_child(now)

    def _load_started(self, _: LoadStarted, now: float) -> list[Action]:
        self.deadline = self._deadlines.begin(now, self._timeout_of(0), None)  # as much as a test, and no more
        return [Announce(events.PhaseSeen(now, self.id, "", "import"))]

    def _child_ready(self, report: ChildReady, now: float) -> list[Action]:
        self.state = State.RUNNING
        # the report may have waited long before it was read, and the child may claim any time
        self.ready_at = now if report.at is None else min(max(report.at, self.spawned_at), now)
        self.process_id = report.pid
        self._deadlines.note_sign_of_life(now)
        if self.options.enable_ipc:
            self._deadlines.listen_at = now + self.options.heartbeat_interval
        self._begin(now, 0)
        return [Announce(events.ChildStarted(now, self.id, report.pid, self.ready_at - self.spawned_at))]

    def _ready_late(self, report: ChildReady, now: float) -> list[Action]:
        if self._spawn_failure is None:
            return []
        self._spawn_failure = None  # trap: it may run its test before the signal comes, and a second one would again
        self.evidence.note_late(f"{self.evidence.cause_text}, and was terminated when it did.")
        return self._child_ready(report, now)

    def _died_unborn(self, exited: ChildExited, now: float) -> list[Action]:
        self._note_end(exited)
        if self.options.enable_ipc:
            self._spawn_failure = SpawnFailed(f"the child {exited.status} before it was ready\n{exited.stacks}".strip())
        return self._conclude(now)

    # ---- running

    def _begin(self, now: float, place: int) -> None:
        options = self._options_at(place)
        self.deadline = self._deadlines.begin(now, options.process_timeout, options.slow_after)

    def _options_at(self, place: int) -> Options:
        if self._options_of is None or place >= len(self.tests):
            return self.options
        return self._options_of(self.tests[place])

    def _timeout_of(self, place: int) -> float | None:
        return self._options_at(place).process_timeout

    def _accepts(self, report: Report, now: float) -> bool:
        """Whether the report is the child's: a fork of the child has the same Connection, and does not count."""
        if report.pid == self.process_id:
            self._deadlines.note_sign_of_life(now)
        return report.pid == self.process_id

    def _heartbeat(self, report: Heartbeat, now: float) -> list[Action]:
        if self._accepts(report, now):
            self._deadlines.beating = True
            return [Announce(events.PhaseSeen(now, self.id, self.current, PHASES.get(report.phase, "")))]
        return []

    def _found_waiting(self, found: FoundWaiting, now: float) -> list[Action]:
        self._deadlines.heard_at = now
        return [Announce(events.PhaseSeen(now, self.id, self.current, self.evidence.phase, found.waits_for))]

    def _channel_lost(self, _: ChannelLost, _now: float) -> list[Action]:
        self.evidence.lost_channel = True
        return []

    def _import_started(self, report: ImportStarted, now: float) -> list[Action]:
        if self._accepts(report, now):
            self.evidence.note_import(report)
            self._begin(now, 0)
        return []

    def _tests_collected(self, report: TestsCollected, now: float) -> list[Action]:
        if self.tests:
            return self._unexpected(report, now)
        if self._accepts(report, now):
            self.evidence.importing = None
            self.collected.append(report)
            if report.last:
                self.evidence.receipt = WorkFinished(attempt=self.id, pid=report.pid)
                return self._leave(now)
        return []

    def _fixture_started(self, report: FixtureStarted, now: float) -> list[Action]:
        if self._accepts(report, now):
            self.evidence.current = report.fixture
            self._begin(now, self.evidence.next_place)
        return []

    def _test_started(self, report: TestStarted, now: float) -> list[Action]:
        if not self._accepts(report, now):
            return []
        if not self.evidence.has(report.test):
            return self._unexpected(report, now)
        self.evidence.begin(report.test)
        self._begin(now, report.test)
        return []

    def _outcome_noted(self, report: OutcomeNoted, now: float) -> list[Action]:
        if not self._accepts(report, now):
            return []
        if not self.evidence.makes_sense(report):
            return self._unexpected(report, now)
        if not self.evidence.note(report):
            return self._end_because("ipc", "The child reported more failures than can be kept.", now)
        return []

    def _test_ended(self, report: TestEnded, now: float) -> list[Action]:
        if not self._accepts(report, now):
            return []
        if not self.evidence.has(report.test):
            return self._unexpected(report, now)
        self.evidence.finish(report)
        self.finished_at = now
        self._begin(now, report.test)
        return []

    def _progress_reported(self, report: ProgressReported, now: float) -> list[Action]:
        event = events.ProgressMade(now, self.id, self.current, report.fraction, report.text)
        return [Announce(event)] if self._accepts(report, now) else []

    def _value_reported(self, report: ValueReported, now: float) -> list[Action]:
        if report.name == ATTACHMENT and self._accepts(report, now):
            return [] if self.evidence.attach(report.value) else self._end_because("ipc", TOO_MUCH_ATTACHED, now)
        event = events.ValueSent(now, self.id, self.current, report.name, report.value, report.pickled)
        return [Announce(event)] if self._accepts(report, now) else []

    def _call_noted(self, report: CallNoted, now: float) -> list[Action]:
        if self._accepts(report, now):
            self.evidence.note_call(report)
        return []

    def _work_finished(self, report: WorkFinished, now: float) -> list[Action]:
        if not self._accepts(report, now):
            return []
        self.evidence.note_receipt(report)
        self.peak_rss, self.own_memory = report.peak_rss, report.own_memory
        return self._leave(now)

    def _leave(self, now: float) -> list[Action]:
        self.state = State.EXITING
        self.finished_at = now
        self.deadline = now + or_never(self.options.cleanup_timeout)
        return []

    def _child_failed(self, report: ChildFailed, now: float) -> list[Action]:
        self.is_our_bug = True
        text = f"This is a bug in isolatedunit, which failed in the child:\n{report.text}\n{self.format_story()}"
        return self._end_because("ipc", text, now)

    def _unexpected(self, report: Report, now: float) -> list[Action]:
        if self.process_id is not None and report.pid != self.process_id:
            return []
        return self._end_because("ipc", f"The child sent an unexpected report: {report!r}", now)

    def _offended(self, offence: ProtocolBroken | LimitExceeded, now: float) -> list[Action]:
        return self._end_because(offence.cause, offence.text, now)

    def _running_deadline(self, _: DeadlinePassed, now: float) -> list[Action]:
        actions: list[Action] = []
        deadlines, interval = self._deadlines, self.options.heartbeat_interval
        if now >= deadlines.out_of_time:
            return [Examine()]
        if deadlines.becomes_slow(now):
            actions.append(Announce(events.TestSlow(now, self.id, self.current, now - deadlines.started_at)))
        if deadlines.has_to_ask(now, interval):
            actions.append(Nudge())
            if deadlines.becomes_silent(now, interval):
                silent_for = now - deadlines.heard_at
                actions.append(Announce(events.ChildUnresponsive(now, self.id, self.current, silent_for)))
        self.deadline = deadlines.deadline
        return actions

    def _out_of_time(self, examined: Examined, now: float) -> list[Action]:
        deadlines, elapsed = self._deadlines, now - self._deadlines.started_at
        was_prolonged = deadlines.is_prolonged
        if not deadlines.prolong(examined, now, self.ready_at):
            return self._end_late(examined, now)
        self.deadline = deadlines.deadline
        if was_prolonged or not deadlines.is_prolonged:
            return []
        waited = f"waited {deadlines.waited:.1f} of {elapsed:.1f} s for a processor, which does not count"
        text = f"{self.current or self.evidence.subject} {waited}; its time limit is extended"
        return [Announce(events.Warned(now, text))]

    def _end_late(self, examined: Examined, now: float) -> list[Action]:
        text = f"{self.evidence.subject} did not finish within {self._deadlines.described}."
        return [*self._end_because("timeout", text, now), *self._examined(examined, now)]

    def _examined(self, examined: Examined, now: float) -> list[Action]:
        if examined.condition is not None and self.cause == "timeout":
            self._looks = (*self._looks, Look(now, examined.condition, examined.load))
        return []

    # ---- the end

    def _out_of_patience(self, examined: Examined, now: float) -> list[Action]:
        deadlines = self._deadlines
        if deadlines.prolong(examined, now, self.spawned_at) or deadlines.prolong_start(examined.load):
            self.deadline = deadlines.out_of_time
            return []
        if not self.options.enable_ipc:
            return self._end_late(examined, now)
        self._spawn_failure = SpawnFailed(f"the child showed no sign of life within {deadlines.shown_limit:g} s")
        return self._end_because("spawn", self._spawn_failure.text, now)

    def _exiting_deadline(self, _: DeadlinePassed, now: float) -> list[Action]:
        self.evidence.leftovers.note_no_end(now - self.finished_at)
        return self._climb(now, [(Terminate(), self.options.terminate_grace)])

    def _cancel(self, request: CancelRequested, now: float) -> list[Action]:
        text = f"{self.evidence.subject} was terminated: {request.reason}."
        return self._end_because("cancelled", text, now, force=request.force)

    def _cancel_queued(self, _: CancelRequested, now: float) -> list[Action]:
        self.evidence.blame("cancelled", "")
        return self._conclude(now)

    def _cancel_ending(self, request: CancelRequested, now: float) -> list[Action]:
        return self._climb(now, []) if request.force else []

    def _end_because(self, cause: str, text: str, now: float, *, force: bool = False) -> list[Action]:
        self.evidence.blame(cause, text)
        return self._climb(now, rungs(cause, self.options.terminate_grace, force=force))

    def _climb(self, now: float, ladder: list[tuple[Action, float]]) -> list[Action]:
        self.state = State.TERMINATING
        self._ladder = ladder
        return self._next_rung(DeadlinePassed(), now)

    def _next_rung(self, _: DeadlinePassed, now: float) -> list[Action]:
        action, grace = self._ladder.pop(0) if self._ladder else LAST_RUNG
        self.deadline = now + grace
        return [action]

    def _late_note(self, report: OutcomeNoted, now: float) -> list[Action]:
        if self.evidence.makes_sense(report) and self._accepts(report, now):
            self.evidence.note(report)
        return []

    def _handles_cleaned(self, report: HandlesCleaned, now: float) -> list[Action]:
        if self._accepts(report, now):
            self.evidence.leftovers.note_found_by_child(report.handle_stats)
        return []

    def _ignore(self, _: Stimulus, _now: float) -> list[Action]:
        return []

    def _child_exited(self, exited: ChildExited, now: float) -> list[Action]:
        self._note_end(exited)
        return self._conclude(now)

    def _note_end(self, exited: ChildExited) -> None:
        self.evidence.note_end(exited, by_itself=self.state is State.EXITING)
        self.peak_rss = self.peak_rss or exited.status.peak_rss
        if self.cause == "timeout":
            silent_for = self._looks[0].at - self._deadlines.heard_at if self._looks else 0.0
            diagnosis = diagnose(self._looks, silent_for, self.options.heartbeat_interval)
            self.evidence.cause_text = f"{self.evidence.cause_text} {diagnosis}".rstrip()

    def _conclude(self, now: float) -> list[Action]:
        self.state, self.deadline, self.ended_at = State.DONE, NEVER, now
        if self._spawn_failure is not None:
            self.conclusion = Conclusion(remaining=list(self.tests), spawn_failure=self._spawn_failure)
        elif self.cause == "cancelled" and self.ready_at == NEVER:
            self.conclusion = Conclusion(stopped=list(self.tests))
        else:
            lasted, failfast = now - self.ready_at, self.options.failfast
            self.conclusion = self.evidence.conclude(self.options.cpu_limit, lasted, failfast=failfast)
        return [Conclude()]


_NOT_YET = Conclusion()  # of attempts that are not over, whose conclusion nobody reads
_DECIDED = (State.EXITING, State.TERMINATING, State.DONE)
_Handler = Callable[[Attempt, Any, float], list[Action]]
_WITH_A_CHILD: dict[type, _Handler] = {
    ChildFailed: Attempt._child_failed,
    ProtocolBroken: Attempt._offended,
    LimitExceeded: Attempt._offended,
    CancelRequested: Attempt._cancel,
}
_ENDING: dict[type, _Handler] = {
    FoundWaiting: Attempt._ignore,
    ChannelLost: Attempt._channel_lost,
    HandlesCleaned: Attempt._handles_cleaned,
    ChildExited: Attempt._child_exited,
    CancelRequested: Attempt._cancel_ending,
    ProtocolBroken: Attempt._ignore,
    LimitExceeded: Attempt._ignore,
}
_HANDLERS: dict[State, dict[type, _Handler]] = {
    State.QUEUED: {SlotGranted: Attempt._slot_granted, CancelRequested: Attempt._cancel_queued},
    State.SPAWNING: {
        **_WITH_A_CHILD,
        SpawnFailed: Attempt._spawn_failed,
        LoadStarted: Attempt._load_started,
        LoadFinished: Attempt._load_finished,
        ChildReady: Attempt._child_ready,
        ChildExited: Attempt._died_unborn,
        DeadlinePassed: lambda *_: [Examine()],
        Examined: Attempt._out_of_patience,
    },
    State.RUNNING: {
        **_WITH_A_CHILD,
        Heartbeat: Attempt._heartbeat,
        FoundWaiting: Attempt._found_waiting,
        ChannelLost: Attempt._channel_lost,
        ImportStarted: Attempt._import_started,
        TestsCollected: Attempt._tests_collected,
        FixtureStarted: Attempt._fixture_started,
        TestStarted: Attempt._test_started,
        OutcomeNoted: Attempt._outcome_noted,
        TestEnded: Attempt._test_ended,
        ProgressReported: Attempt._progress_reported,
        ValueReported: Attempt._value_reported,
        Requested: lambda self, report, now: [Answer(report)] if self._accepts(report, now) else [],
        CallNoted: Attempt._call_noted,
        WorkFinished: Attempt._work_finished,
        HandlesCleaned: Attempt._handles_cleaned,
        ChildExited: Attempt._child_exited,
        Examined: Attempt._out_of_time,
        DeadlinePassed: Attempt._running_deadline,
    },
    State.EXITING: {**_ENDING, DeadlinePassed: Attempt._exiting_deadline},
    State.TERMINATING: _ENDING
    | {Examined: Attempt._examined, OutcomeNoted: Attempt._late_note, DeadlinePassed: Attempt._next_rung}
    | {ChildReady: Attempt._ready_late},
    State.DONE: {},
}
