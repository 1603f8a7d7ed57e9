"""Every path through an attempt: without these tests, some order of messages and deadlines could leave it undecided."""

from __future__ import annotations

import copy
import unittest
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from unittest import mock

from isolatedunit.engine.attempt import state_machine as machine
from isolatedunit.engine.attempt.deadlines import Deadlines
from isolatedunit.engine.attempt.evidence import Evidence
from isolatedunit.engine.attempt.leftovers import Leftovers
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import (
    CancelRequested,
    Conclude,
    Conclusion,
    DeadlinePassed,
    Examine,
    Examined,
    Kill,
    LimitExceeded,
    ProtocolBroken,
    SlotGranted,
    SpawnFailed,
    State,
    Stimulus,
    TestRecord,
)
from isolatedunit.engine.attempt.story import format_story
from isolatedunit.errors import InvalidTransition
from isolatedunit.model.moments import NEVER
from isolatedunit.protocol.messages import (
    HandlesCleaned,
    LoadStarted,
)
from tests.support.attempts import EXITED, READY, RECEIPT, SAID, finished, make, noted, started


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


CHANGING = (Evidence, Leftovers, TestRecord, Conclusion, Deadlines)
"""Of what an attempt consists of, the classes whose objects change."""


def twin_of(value: Any) -> Any:
    """A copy that shares nothing which changes; many times faster than `copy.deepcopy`."""
    kind: Any = type(value)
    if kind is list or kind is tuple:
        return kind([twin_of(one) for one in value])
    if kind is dict:
        return {key: twin_of(one) for key, one in value.items()}
    if kind not in CHANGING:
        return value
    twin = kind.__new__(kind)
    for name in getattr(kind, "__slots__", None) or vars(value):
        setattr(twin, name, twin_of(getattr(value, name)))
    return twin


def clone(attempt: Attempt) -> Attempt:
    """A copy of an attempt that goes a way of its own."""
    twin = copy.copy(attempt)
    for name in ("story", "collected", "evidence", "conclusion", "_ladder", "_deadlines"):
        setattr(twin, name, twin_of(getattr(attempt, name)))
    return twin


def handle(attempt: Attempt, stimulus: Any, now: float) -> list[Any]:
    """What the attempt does about it; where it wants to know how its process fares, that cannot be found out."""
    actions = attempt.handle(stimulus, now)
    return attempt.handle(Examined(None), now) if actions == [Examine()] else actions


class EverySequenceTest(unittest.TestCase):
    """All sequences of six stimuli; where two of them lead to the same, that is followed once."""

    LENGTH = 6
    # when it was does not change what happens, and nor does how it came to this
    IRRELEVANT = ("story", "spawned_at", "ready_at", "finished_at", "ended_at", "deadline", "evidence", "_deadlines")
    TIMERS = ("out_of_time", "slow_at", "listen_at")

    # what cannot happen is refused with the story, which takes longer to put into words than all else together
    @mock.patch.object(machine, "format_story", lambda _: [])
    def test_every_sequence_concludes_at_most_once_and_never_blocks(self) -> None:
        self.stimuli = every_stimulus()
        first = make()
        self.check(first)
        reached = {self.summary_of(first): first.state}
        ends = [first]
        for depth in range(self.LENGTH):
            latest, ends = ends, []
            for attempt in latest:
                for after in self.continue_from(attempt, float(depth)):
                    summary = self.summary_of(after)
                    if summary not in reached:
                        reached[summary] = after.state
                        self.check(after)
                        ends.append(after)
        self.assertEqual(set(reached.values()), set(State))
        self.assertGreater(len(reached), 500)

    def continue_from(self, attempt: Attempt, now: float) -> Iterator[Attempt]:
        """What the attempt becomes by each of the stimuli that can happen to it now."""
        if attempt.state is State.DONE:
            return
        for stimulus in self.stimuli:
            twin = clone(attempt)
            try:
                actions = handle(twin, stimulus, now if twin.deadline == NEVER else max(now, twin.deadline))
            except InvalidTransition:
                continue
            self.assertEqual(actions.count(Conclude()), int(twin.state is State.DONE))
            yield twin

    def summary_of(self, attempt: Attempt) -> str:
        """All of the attempt that decides what will happen, as text."""
        timers = attempt._deadlines
        running = [name for name in self.TIMERS if getattr(timers, name) < NEVER]
        summary = repr(
            [
                *(getattr(attempt, name) for name in Attempt.__slots__ if name not in self.IRRELEVANT),
                *(getattr(attempt.evidence, name) for name in Evidence.__slots__ if name != "leftovers"),
                attempt.evidence.leftovers.stats,
                *(timers.beating, timers.reported_silent, timers.may_start_late),
                # which of them runs out before which, and how long the child is silent by then
                *(sorted(running, key=partial(getattr, timers)), timers.listen_at - timers.heard_at),
            ]
        )
        self.assertNotIn(" object at 0x", summary, "each state would be one of its own")
        return summary

    def check(self, attempt: Attempt) -> None:
        if attempt.state is State.DONE:
            self.check_done(attempt)
        else:
            self.check_way_out(attempt)

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
            if twin.deadline == NEVER:
                self.fail(f"time does not end {format_story(twin.story)}")
            if Kill() in handle(twin, DeadlinePassed(), twin.deadline):
                break
        else:
            self.fail(f"time did not end {format_story(twin.story)}")
        self.assertEqual(twin.handle(EXITED, twin.deadline), [Conclude()])


class TableTest(unittest.TestCase):
    def test_every_state_has_its_handlers(self) -> None:
        self.assertEqual(set(machine._HANDLERS), set(State))
