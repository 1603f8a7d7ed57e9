"""Scheduler and attempts together: without this test, some order of events could lose a test or report it twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import (
    CancelRequested,
    ChannelLost,
    ChildExited,
    Conclude,
    DeadlinePassed,
    DumpStacks,
    Examine,
    Examined,
    FoundWaiting,
    Kill,
    LimitExceeded,
    ProtocolBroken,
    SlotGranted,
    Spawn,
    SpawnFailed,
    State,
    Stimulus,
    Terminate,
)
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.units import group_of
from isolatedunit.model.events import Event, RetryScheduled
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import ExitStatus, Output, PlannedTest, SpawnInfo
from isolatedunit.model.usage import Condition
from isolatedunit.protocol.messages import (
    ChildReady,
    FixtureStarted,
    HandlesCleaned,
    Heartbeat,
    LoadFinished,
    LoadStarted,
    OutcomeNoted,
    TestEnded,
    TestStarted,
    WorkFinished,
)
from tests.support.examples import examples

PID = 4711


JOBS = 3


GROUPS = (("database", 2),)
"""How many of a named group may run at once, where that is not one."""


NEEDS: list[dict[str, Any]] = [
    {},
    {"group": "database"},
    {"group": "port"},
    {"slots": 2},
    {"slots": JOBS + 5},
    {"exclusive": True},
    {"group": "database", "retries": 1},
    {"retry_delay": 3.0, "retry_backoff": "exponential", "retries": 2},
]
"""What a test may say of itself."""


CONDITIONS = [
    None,
    Condition("sleeping", 0.0, 0.0, 0.0),
    Condition("running", 100.0, 100.0, 0.0),
    Condition("running", 1.0, 1.0, 1e6),
]


class Child:
    """A simulated child: it may be killed, and it then has ended. *spawned* tells whether it came to be."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.spawned = False
        self.doomed = False


class EngineMachine(RuleBasedStateMachine):
    """What the loop does, with whatever children may do in between."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.children: dict[str, Child] = {}
        self.reported: Counter[str] = Counter()
        self.attempts_of: Counter[str] = Counter()
        self.seen: set[str] = set()
        self.concluded: Counter[str] = Counter()
        self.cancelled = False
        self.condition: Condition | None = None
        self.tests: list[PlannedTest] = []
        self.ordered: dict[str, Attempt] = {}

    @initialize(
        modules=st.lists(st.lists(st.integers(0, len(NEEDS) - 1), min_size=1, max_size=4), min_size=1, max_size=4),
        isolation=st.sampled_from(["test", "class", "module", "none"]),
        parallel_by=st.sampled_from(["module", "class", "test"]),
        retries=st.integers(0, 2),
        process_timeout=st.sampled_from([None, 1.0, 30.0]),
        failfast=st.booleans(),
        condition=st.sampled_from(CONDITIONS),
        fixtures=st.booleans(),
    )
    def plan(self, modules: list[list[int]], condition: Condition | None, fixtures: bool, **options: Any) -> None:
        """A run of some modules, with two classes each."""
        self.condition = condition
        for module, tests in enumerate(modules):
            for number, needs in enumerate(tests):
                cls = f"m{module}.C{number % 2}"
                name = f"{cls}.test_{number}"
                named = name, name, None, cls, f"m{module}"
                more: dict[str, Any] = {"home": {"module": f"m{module}"}, "fixtures": fixtures}
                self.tests.append(PlannedTest(len(self.tests), *named, overrides=dict(NEEDS[needs]), **more))
        self.options = Options(**options, groups=GROUPS)
        self.scheduler = Scheduler("run", self.tests, self.options, slots=JOBS)

    # ---- what the loop does

    @rule(count=st.integers(1, JOBS))
    def fill_slots(self, count: int) -> None:
        """Begin what may begin."""
        for _ in range(count):
            attempt = self.scheduler.next_attempt(self.now)
            if attempt is None:
                return
            assert not self.cancelled, "something began after the run was cancelled"
            assert attempt.id not in self.seen, "an id was given twice"
            self.forget_cancelled()
            assert self.ordered.pop(attempt.id, attempt) is attempt, "another was ordered under this id"
            self.seen.add(attempt.id)
            for test in attempt.tests:
                assert not self.reported[test.id], "a test that was reported is tried again"
                self.attempts_of[test.id] += 1
            self.children[attempt.id] = Child(attempt)
            self.feed(self.children[attempt.id], SlotGranted())

    @rule(place=st.integers(0, 9), goes_well=st.booleans())
    def order(self, place: int, goes_well: bool) -> None:
        """Have what follows one that runs begin by itself when that is over."""
        before = self.some(place, *State)
        attempt = None if before is None else self.scheduler.successor_of(before.attempt)
        if before is None or attempt is None:
            return
        assert attempt.id not in self.ordered, "it was ordered already"
        if goes_well:
            self.ordered[attempt.id] = attempt
        else:
            self.scheduler.cancel_successor_of(before.attempt)

    def forget_cancelled(self) -> None:
        while self.scheduler.lookahead.cancelled:
            self.ordered.pop(self.scheduler.lookahead.cancelled.pop().id, None)

    def feed(self, child: Child, stimulus: Stimulus) -> None:
        """Tell the attempt, and do what it says."""
        attempt = child.attempt
        for action in attempt.handle(stimulus, self.now):
            if isinstance(action, Spawn):
                child.spawned = True
            elif isinstance(action, (Examine, DumpStacks)):
                self.feed(child, Examined(self.condition))
            elif isinstance(action, (Kill, Terminate)):
                child.doomed = isinstance(action, Kill) or child.doomed
            elif isinstance(action, Conclude):
                self.concluded[attempt.id] += 1
                self.settle(child)

    def settle(self, child: Child) -> None:
        attempt = child.attempt
        outputs = [Output()] * max(1, len(attempt.conclusion.settled))
        events = self.scheduler.settle(attempt, outputs, SpawnInfo("spawn"), self.now)
        del self.children[attempt.id]
        self.hear(events)

    def hear(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Finished):
                self.reported[event.report.id] += 1
            elif isinstance(event, RetryScheduled):
                assert not self.reported[event.test], "a retry of a test that was reported"

    # ---- what children do

    def some(self, place: int, *states: State) -> Child | None:
        """One of the children that are in such a state."""
        chosen = [child for _, child in sorted(self.children.items()) if child.attempt.state in states]
        return chosen[place % len(chosen)] if chosen else None

    def say(self, place: int, report: Callable[[dict[str, Any], Attempt], Any], *states: State) -> None:
        child = self.some(place, *states)
        if child is not None:
            self.feed(child, report({"attempt": child.attempt.id, "pid": PID}, child.attempt))

    @rule(place=st.integers(0, 9), begins=st.booleans())
    def load(self, place: int, begins: bool) -> None:
        self.say(
            place,
            lambda said, _: LoadStarted(**said) if begins else LoadFinished(**said, duration=0.1),
            State.SPAWNING,
        )

    @rule(place=st.integers(0, 9))
    def be_ready(self, place: int) -> None:
        self.say(place, lambda said, _: ChildReady(**said, at=self.now), State.SPAWNING)

    @rule(place=st.integers(0, 9), kind=st.sampled_from(["setUpClass", "tearDownClass", "setUpModule"]))
    def start_fixture(self, place: int, kind: str) -> None:
        self.say(place, lambda said, attempt: FixtureStarted(**said, fixture=fixture_of(kind, attempt)), State.RUNNING)

    @rule(
        place=st.integers(0, 9),
        kind=st.sampled_from(["setUpClass", "tearDownClass", "setUpModule"]),
        note=st.sampled_from(["addError", "addSkip"]),
    )
    def note_fixture(self, place: int, kind: str, note: str) -> None:
        self.say(
            place,
            lambda said, attempt: OutcomeNoted(**said, fixture=fixture_of(kind, attempt), kind=note, text="x"),
            State.RUNNING,
            State.TERMINATING,
        )

    @rule(place=st.integers(0, 9), test=st.integers(0, 3))
    def start_test(self, place: int, test: int) -> None:
        self.say(place, lambda said, attempt: TestStarted(**said, test=test % len(attempt.tests)), State.RUNNING)

    @rule(place=st.integers(0, 9), test=st.integers(0, 3), note=st.sampled_from(OutcomeNoted.KINDS))
    def note_test(self, place: int, test: int, note: str) -> None:
        self.say(
            place,
            lambda said, attempt: OutcomeNoted(**said, test=test % len(attempt.tests), kind=note, text="x"),
            State.RUNNING,
            State.TERMINATING,
        )

    @rule(place=st.integers(0, 9), test=st.integers(0, 3), succeeded=st.booleans())
    def finish_test(self, place: int, test: int, succeeded: bool) -> None:
        self.say(
            place,
            lambda said, attempt: TestEnded(
                **said, test=test % len(attempt.tests), duration=0.1, counted=True, succeeded=succeeded
            ),
            *State,
        )

    @rule(place=st.integers(0, 9), test=st.integers(0, 3), bad=st.integers(-1, 3), leaves=st.booleans())
    def go_through(self, place: int, test: int, bad: int, leaves: bool) -> None:
        """All goes its way from where it stands, up to one test or to the end."""
        child = self.some(place, State.RUNNING)
        if child is None:
            return
        said: dict[str, Any] = {"attempt": child.attempt.id, "pid": PID}
        count = len(child.attempt.tests) if leaves else test % len(child.attempt.tests)
        for number in range(count):
            self.feed(child, TestStarted(**said, test=number))
            if number == bad:
                self.feed(child, OutcomeNoted(**said, test=number, kind="addFailure", text="x"))
            self.feed(child, TestEnded(**said, test=number, duration=0.1, counted=True, succeeded=number != bad))
        if leaves:
            self.feed(child, WorkFinished(**said))
            self.feed(child, ChildExited(ExitStatus(exit_code=0)))

    @rule(place=st.integers(0, 9), stopped=st.booleans(), clean=st.booleans())
    def give_receipt(self, place: int, stopped: bool, clean: bool) -> None:
        # who stops before its end does so for a reason, and its run stops with it
        stopped = stopped and self.options.failfast
        self.say(place, lambda said, _: WorkFinished(**said, stopped=stopped, clean=clean), State.RUNNING)
        if stopped:
            self.cancel(force=False)

    @rule(place=st.integers(0, 9), other=st.booleans())
    def say_something(self, place: int, other: bool) -> None:
        child = self.some(place, *State)
        if child is not None:
            said: dict[str, Any] = {"attempt": child.attempt.id, "pid": PID + other}
            self.feed(child, HandlesCleaned(**said, handle_stats={}) if other else Heartbeat(**said))

    @rule(
        place=st.integers(0, 9),
        stimulus=st.sampled_from(
            [
                ProtocolBroken("garbage"),
                LimitExceeded("memory", "x"),
                LimitExceeded("cpu", "x"),
                ChannelLost(),
                FoundWaiting(),
            ]
        ),
    )
    def happen(self, place: int, stimulus: Stimulus) -> None:
        states = {State.RUNNING, State.EXITING, State.TERMINATING}
        if isinstance(stimulus, (ProtocolBroken, LimitExceeded)):
            states.add(State.SPAWNING)
        child = self.some(place, *states)
        if child is not None:
            self.feed(child, stimulus)

    @rule(
        place=st.integers(0, 9),
        status=st.sampled_from([ExitStatus(exit_code=0), ExitStatus(signal="SIGSEGV"), ExitStatus()]),
    )
    def exit_child(self, place: int, status: ExitStatus) -> None:
        child = self.some(place, State.SPAWNING, State.RUNNING, State.EXITING, State.TERMINATING)
        if child is not None:
            self.feed(child, ChildExited(status))

    @rule(place=st.integers(0, 9), lasting=st.booleans())
    def fail_spawn(self, place: int, lasting: bool) -> None:
        child = self.some(place, State.SPAWNING)
        if child is not None:
            self.feed(child, SpawnFailed("no processes", lasting))

    # ---- time, and people

    @rule(seconds=st.sampled_from([0.01, 0.5, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for child in list(self.children.values()):
            if self.now >= child.attempt.deadline:
                self.feed(child, DeadlinePassed())

    @rule(force=st.booleans())
    @precondition(lambda self: self.tests and not self.cancelled)
    def cancel(self, force: bool) -> None:
        self.scheduler.cancel()
        self.cancelled = True
        for child in list(self.children.values()):
            self.feed(child, CancelRequested(force=force))

    # ---- what has to hold

    @invariant()
    def nothing_is_reported_twice(self) -> None:
        assert all(count == 1 for count in self.reported.values()), self.reported

    @invariant()
    def an_attempt_concludes_once(self) -> None:
        assert all(count == 1 for count in self.concluded.values())

    @invariant()
    def groups_are_not_exceeded(self) -> None:
        running = Counter(group_of(child.attempt.tests[0], self.options) for child in self.children.values())
        assert all(count == 1 for count in running.values()), f"at once: {running}"
        named = Counter(
            name
            for child in self.children.values()
            for name in {test.overrides["group"] for test in child.attempt.tests if "group" in test.overrides}
        )
        for name, count in named.items():
            assert count <= dict(GROUPS).get(name, 1), f"{count} of {name} at once"

    @invariant()
    def no_more_slots_are_taken_than_there_are(self) -> None:
        taken = 0
        for child in self.children.values():
            taken += min(JOBS, max(test.overrides.get("slots", 1) for test in child.attempt.tests))
            if any(test.overrides.get("exclusive") for test in child.attempt.tests):
                assert len(self.children) == 1, "something runs beside what wants everything for itself"
        assert taken <= JOBS, f"{taken} of {JOBS} slots"

    @invariant()
    def each_attempt_has_a_way_on(self) -> None:
        for child in self.children.values():
            assert child.attempt.state is not State.DONE, "a slot is held by what is done"
            forever = self.options.process_timeout is None and child.attempt.state is State.RUNNING
            assert forever or child.attempt.deadline < NEVER or child.attempt.state is State.SPAWNING

    @invariant()
    def no_test_is_tried_for_ever(self) -> None:
        for test, count in self.attempts_of.items():
            # each retry may have to be spawned three times, and each test before it in its unit may end its child
            assert count <= 3 * (self.options.retries + 4) * (len(self.tests) + 1), f"{test}: {count} attempts"

    def teardown(self) -> None:
        """From wherever it stands, a run comes to its end, and no test is missing then."""
        if not self.tests:
            return
        for _ in range(10_000):
            if not self.children and not self.scheduler.has_more:
                break
            self.fill_slots(JOBS)
            for child in list(self.children.values()):
                if child.attempt.state is State.SPAWNING:
                    self.feed(child, ChildReady(attempt=child.attempt.id, pid=PID))
            self.go_through(0, 0, -1, True)
            self.exit_child(0, ExitStatus(exit_code=0))
            self.now += 60.0
        else:
            raise AssertionError("the run did not come to an end")
        assert not self.children
        self.forget_cancelled()
        assert not self.ordered, "one that was ordered is neither begun nor cancelled"
        missing = self.scheduler.report_missing()
        if not self.cancelled:
            assert missing == [], [report.id for report in missing]
        for test in self.tests:
            covered = any(
                self.reported[f"setUp{what}"] for what in (f"Class ({test.class_id})", f"Module ({test.module})")
            )
            told = self.reported[test.id] + (test.id in {report.id for report in missing})
            assert told == 1 or (told == 0 and (covered or self.cancelled)), f"{test.id} is lost"
        self.nothing_is_reported_twice()


def fixture_of(kind: str, attempt: Attempt) -> str:
    """unittest's id of such a fixture of the attempt's first test."""
    test = attempt.tests[0]
    return f"{kind} ({test.module if kind.endswith('Module') else test.class_id})"


EngineMachine.TestCase.settings = examples(30, stateful_step_count=60)


class EngineTest(EngineMachine.TestCase):  # type: ignore[misc,valid-type]
    """hypothesis's own test case; each of its examples is a run."""
