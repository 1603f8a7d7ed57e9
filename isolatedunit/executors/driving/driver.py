"""Decides what the workers of a cluster run, and what of their reports counts: no I/O, no clock.

The driver owns the truth. A batch that a worker has begun is an *incarnation* of it. What an incarnation reports counts
only as long as the driver has not given it up, and of each test only the first report counts. What is left of a batch
that was lost is sent again, as a new incarnation.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.slots import SlotPool
from isolatedunit.engine.scheduling.units import OptionsOf
from isolatedunit.executors.driving.batches import Batch, cut_batches
from isolatedunit.executors.driving.lines import BEGIN, PASSED_ON, read_line
from isolatedunit.executors.driving.settlement import Settlements
from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    RunFinished,
    TestFinished,
)
from isolatedunit.model.results import PlannedTest

MOST_LOSSES = 3
"""How often a test is sent again after it was lost with its worker."""


class Driver:
    """The tests of one run, with these *options*, and what became of them, for a cluster that has *slots* of them.

    With *most*, no more batches run at the same time than that. What a method returns are the events to publish.
    """

    def __init__(
        self,
        tests: Sequence[PlannedTest],
        options: Options,
        expectations: Expectations | None = None,
        slots: int = 1,
        most: int | None = None,
    ) -> None:
        self.options_of = OptionsOf(options)
        self.slots = slots
        self.cancelled = False
        self.not_run: list[PlannedTest] = []
        self.dropped = 0
        self._most = most
        self._settlements = Settlements(options, self.options_of)
        batches = cut_batches(tests, options, self.options_of, expectations or Expectations(), self._places)
        self._ready: deque[Batch] = deque(batches)
        self._waiting: list[tuple[float, int, Batch]] = []
        self._running: dict[str, Batch] = {}
        self._pool = SlotPool(None, dict(options.groups))
        self._used = 0
        self._made = len(batches)
        self._losses: dict[int, int] = {}

    @property
    def _places(self) -> int:
        return self.slots if self._most is None else min(self.slots, self._most)

    @property
    def is_done(self) -> bool:
        """Whether nothing runs, and nothing is left to begin."""
        return not (self._ready or self._waiting or self._running)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs."""
        return not self._running

    @property
    def next_wakeup(self) -> float | None:
        """When a batch that waits for a retry may begin; None if there is none."""
        return self._waiting[0][0] if self._waiting else None

    # ---- what runs

    def next_batch(self, now: float) -> Batch | None:
        """A batch to send to a worker now, or None. It has its slot."""
        while self._waiting and self._waiting[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._waiting)[2])
        free = self._places - self._used
        if free <= 0:
            return None
        for place, batch in enumerate(self._ready):
            if self._pool.full_group(batch.needs) is not None:
                continue
            width = min(batch.needs.slots, self._places)
            if width > free or not self._pool.has(batch.needs):
                return None  # first come, first served: it might wait for ever otherwise
            del self._ready[place]
            batch.width, batch.slot = width, self._pool.occupy(batch.needs)
            self._used += width
            self._running[batch.name] = batch
            return batch
        return None

    def begin(self, name: str, incarnation: str, machine: str, time: float, now: float) -> bool:
        """A worker has begun the batch, at *time* on its own clock; False if it shall not."""
        batch = self._running.get(name)
        if batch is None or batch.incarnation is not None:
            return False
        batch.incarnation, batch.machine, batch.offset = incarnation, machine, now - time
        return True

    def take(self, name: str, incarnation: str, lines: Iterable[dict[str, Any]]) -> list[Event]:
        """Take notice of what an incarnation says, as `json` reads it; raises `ValueError` for what is no event."""
        batch = self._running.get(name)
        if batch is None or batch.incarnation != incarnation:
            self.dropped += sum(line.get("event") == "TestFinished" for line in lines)
            return []
        events: list[Event] = []
        for line in lines:
            kind = line.get("event")
            if kind not in PASSED_ON:
                continue
            event = read_line(line, batch)
            if isinstance(event, TestFinished):
                self._settlements.settle(event, batch, events)
                continue
            if isinstance(event, RunFinished):
                batch.is_finished, batch.not_run = True, event.not_run
                continue
            if isinstance(event, AttemptStarted):
                batch.running[event.attempt] = event.tests
                batch.begun.update(event.tests)
            elif isinstance(event, AttemptFinished):
                batch.running.pop(event.attempt, None)
            if event is not None:
                events.append(event)
        return events

    # ---- what has come to an end

    def end(self, name: str, now: float) -> list[Event]:
        """The worker has come to the end of the batch, and all that it said has been taken."""
        batch = self._running.get(name)
        if batch is None:
            return []
        if not batch.is_finished:
            return self.lose(name, "its process ended early", now)
        self._release(batch)
        # what is left was covered by a fixture that failed, which is reported, or was not begun
        rest = [test for test in batch.tests.values() if test.id in batch.not_run]
        if self.cancelled:
            self.not_run += [*rest, *batch.again]
        else:
            self._send_again(batch, rest, now, is_retry=False)
            self._retry(batch, now)
        return []

    def lose(self, name: str, why: str, now: float) -> list[Event]:
        """The worker that ran the batch is gone, or has not done what it should: send again what it did not report."""
        batch = self._running.get(name)
        if batch is None:
            return []
        self._release(batch)
        events: list[Event] = [
            AttemptFinished(now, attempt, tests, None, 0.0, None, "worker-lost")
            for attempt, tests in batch.running.items()
        ]
        rest = [] if batch.is_finished else list(batch.tests.values())
        if self.cancelled:
            self.not_run += [*rest, *batch.again]
            return events
        again: list[PlannedTest] = []
        for test in rest:
            losses = self._losses[test.number] = self._losses.get(test.number, 0) + 1
            if losses > MOST_LOSSES:
                events.append(TestFinished(now, self._settlements.report_lost(test, losses, batch.machine, why)))
            else:
                again.append(test)
        # one of those that had begun may have ended the worker, and the others are not to be lost with it again
        suspects = [test for test in again if test.id in batch.begun]
        others = [test for test in again if test.id not in batch.begun]
        self._send_again(batch, others, now, is_retry=False)
        self._send_again(batch, suspects, now, is_retry=False)
        self._retry(batch, now)
        return events

    def cancel(self) -> None:
        """Begin no batch any more."""
        self.cancelled = True
        for batch in (*self._ready, *(entry[2] for entry in self._waiting)):
            self.not_run += batch.tests.values()
        self._ready.clear()
        self._waiting.clear()

    def give_up(self, now: float) -> list[Event]:
        """Count all that still runs as lost, after `cancel`."""
        return [event for name in list(self._running) for event in self.lose(name, "the run was given up", now)]

    def _release(self, batch: Batch) -> None:
        del self._running[batch.name]
        self._pool.release(batch.needs, batch.slot)
        self._used -= batch.width

    def _retry(self, batch: Batch, now: float) -> None:
        """Try again those tests of the batch that failed; each waits as long as its options say."""
        by_delay: dict[float, list[PlannedTest]] = {}
        for test in batch.again:
            options = self.options_of(test)
            delay = options.retry_delay or 0.0
            if options.retry_backoff == "exponential":
                delay *= 2.0 ** (batch.number - 1)
            by_delay.setdefault(delay, []).append(test)
        for delay, tests in by_delay.items():
            self._send_again(batch, tests, now + delay, is_retry=True)

    def _send_again(self, batch: Batch, tests: Sequence[PlannedTest], when: float, *, is_retry: bool) -> None:
        if not tests:
            return
        self._made += 1
        # the groups of one batch run one after the other, and so do the batches that come of it
        needs = replace(batch.needs, groups=tuple({*batch.needs.groups, f"{BEGIN}{batch.family}"}))
        again = Batch(
            str(self._made),
            batch.family,
            {test.number: test for test in tests},
            needs,
            batch.number + is_retry,
            when,
        )
        heapq.heappush(self._waiting, (when, self._made, again))
