"""Plays the workers of a cluster for a driver, without a process: what they report, and how they are lost."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from isolatedunit.executors.driving.batches import Batch
from isolatedunit.executors.driving.driver import Driver
from isolatedunit.model.events import Event


def report_of(number: int | None, test_id: str, outcome: str = "passed", **more: Any) -> dict[str, Any]:
    """The line about a test that has finished, as a worker writes it."""
    attempt = {
        "number": 1,
        "outcome": outcome,
        "cause": None,
        "exit_code": 0,
        "signal": None,
        "process_id": 7,
        "duration": 0.1,
        "spawn_time": 0.01,
        "cleanup_time": 0.01,
        "cpu_time": 0.05,
        "memory_usage": {"peak_rss": 10**7},
        "handle_stats": {},
        "start_method": "forkserver",
        "fork_after": "import",
        "slot": 1,
    }
    kind = {"passed": "", "failed": "addFailure", "error": "addError"}[outcome]
    notes = [{"kind": kind, "text": "bad\n", "message": "bad"}] if kind else []
    report = {
        "id": test_id,
        "outcome": outcome,
        "cause": None,
        "duration": 0.1,
        "notes": notes,
        "counted": True,
        "succeeded": outcome == "passed",
        "stdout": "",
        "stderr": "",
        "attempts": [attempt],
        "place": number or 0,
        "planned": number,
        "affected": None,
        "quarantine": None,
        **more,
    }
    return {"event": "TestFinished", "time": 0.0, "report": report}


def lines_of(incarnation: str, number: int, test_id: str, outcome: str = "passed") -> list[dict[str, Any]]:
    """All that a worker says about one test."""
    attempt, tests = f"{incarnation}/{number}#1", [test_id]
    finished = {"spawn_time": 0.01, "duration": 0.1, "peak_rss": 10**7, "cause": None}
    return [
        {"event": "AttemptStarted", "time": 0.0, "attempt": attempt, "tests": tests, "process_logging": False},
        {"event": "ChildStarted", "time": 0.0, "attempt": attempt, "process_id": 7, "spawn_time": 0.01},
        report_of(number, test_id, outcome),
        {"event": "AttemptFinished", "time": 0.0, "attempt": attempt, "tests": tests, **finished},
    ]


FINISHED = {"event": "RunFinished", "missing": [], "not_run": []}


class Incarnation:
    """A batch on a worker, as far as it has come; those in *poison* end their worker."""

    def __init__(self, batch: Batch, name: str, poison: Sequence[int] = (), failing: Sequence[int] = ()) -> None:
        self.batch, self.name = batch, name
        self._steps = self._run([*batch.tests.items()], frozenset(poison), frozenset(failing))
        self.is_lost = False

    def _run(
        self, tests: list[tuple[int, Any]], poison: frozenset[int], failing: frozenset[int]
    ) -> Iterator[list[dict[str, Any]]]:
        for number, test in tests:
            lines = lines_of(self.name, number, test.id, "failed" if number in failing else "passed")
            if number in poison:
                self.is_lost = True
                yield lines[:2]
                return
            yield lines
        yield [{**FINISHED, "time": 0.0}]

    def next_lines(self) -> list[dict[str, Any]] | None:
        """What it says next; None at its end."""
        return next(self._steps, None)


class SimulatedCluster:
    """Runs what *driver* hands out. With *faults* from 0 to 1, that often a worker is lost instead of a step, its
    messages come late, or a batch is begun a second time, as Dask does."""

    def __init__(self, driver: Driver, seed: int, faults: float, poison: Sequence[int] = (), failing: Any = ()) -> None:
        self.driver = driver
        self.events: list[Event] = []
        self.most_at_once: dict[str, int] = {}
        self._chance = random.Random(seed)
        self._faults = faults
        self._poison, self._failing = poison, failing
        self._running: list[Incarnation] = []
        self._late: list[tuple[str, str, list[dict[str, Any]]]] = []
        self._made = 0
        self.now = 0.0

    def run(self, most_steps: int = 100_000) -> None:
        """Run until the driver is done."""
        for _ in range(most_steps):
            self.now += 0.01
            while (batch := self.driver.next_batch(self.now)) is not None:
                self._begin(batch)
            if self.driver.is_done:
                return
            if self._running:
                self._step(self._chance.randrange(len(self._running)))
        raise AssertionError("the driver does not come to an end")

    def _begin(self, batch: Batch) -> None:
        self._made += 1
        incarnation = Incarnation(batch, f"i{self._made}", self._poison, self._failing)
        self._running.append(incarnation)
        for group in batch.needs.groups:
            count = sum(group in one.batch.needs.groups for one in self._running)
            self.most_at_once[group] = max(count, self.most_at_once.get(group, 0))
        assert self.driver.begin(batch.name, incarnation.name, f"machine{self._made % 3}", 0.0, self.now)

    def _step(self, place: int) -> None:
        incarnation = self._running[place]
        name, chance = incarnation.batch.name, self._chance
        if self._late and chance.random() < self._faults:
            self.events += self.driver.take(*self._late.pop())
        if chance.random() < self._faults:
            if chance.random() < 0.5:  # another worker begins it, too
                assert not self.driver.begin(name, f"{incarnation.name}x", "elsewhere", 0.0, self.now)
            lines = incarnation.next_lines()
            if lines:
                self._late.append((name, incarnation.name, lines))
            self._lose(place)
            return
        lines = incarnation.next_lines()
        if lines is None:
            del self._running[place]
            self.events += self.driver.end(name, self.now)
            return
        self.events += self.driver.take(name, incarnation.name, lines)
        if incarnation.is_lost:
            self._lose(place)

    def _lose(self, place: int) -> None:
        incarnation = self._running.pop(place)
        self.events += self.driver.lose(incarnation.batch.name, "it was killed", self.now)
