"""Settles what tests came to in a process that they share since their class has standing: no I/O, no clock."""

from __future__ import annotations

from isolatedunit.config.leak_policy import format_leak
from isolatedunit.engine.scheduling.settlement import Settlement
from isolatedunit.engine.scheduling.slots import Needs
from isolatedunit.engine.scheduling.standing import Standings, Together
from isolatedunit.engine.scheduling.units import OptionsOf, Unit, alone_units
from isolatedunit.model.results import PlannedTest, worst_outcome


def describe(done: Settlement) -> Together:
    """What came of the tests of a process that is over."""
    conclusion, evidence = done.attempt.conclusion, done.attempt.evidence
    records = {test.number: record for test, record in conclusion.settled}
    verdicts: list[str] = []
    for test in done.unit.tests:
        record = records.get(test.number)
        if record is None or not (record.finished or record.cause):
            break
        verdicts.append(record.cause or worst_outcome(record.notes, succeeded=record.succeeded))
        if record.cause:
            break
    receipt = evidence.receipt
    return Together(
        tuple(verdicts),
        spoiled=_describe_whole(done),
        dirty="" if receipt is None else receipt.dirty or "",
        sources=() if receipt is None else tuple(receipt.files or ()),
        late=() if receipt is None else tuple(receipt.late or ()),
    )


def _describe_whole(done: Settlement) -> str:
    """What is true of the whole process, and cannot be charged to one of its tests."""
    leftovers = done.attempt.evidence.leftovers
    fixtures = [*done.attempt.conclusion.fixtures]
    if fixtures:
        return f"{fixtures[0]} failed or was skipped"
    if leftovers.leaks:
        return f"left behind: {format_leak(leftovers.leaks[0])}"
    if leftovers.stats.get("incomplete") is not None:
        return f"what was left behind is not known ({leftovers.stats['incomplete']})"
    receipt = done.attempt.evidence.receipt
    if receipt is not None and receipt.interrupted:
        return "unittest was interrupted by an exception"
    return "" if receipt is None or receipt.files is not None else "the files that were loaded are not known"


class Sharing:
    """What a settler does for classes that have, or may get, standing."""

    def __init__(self, standings: Standings, options_of: OptionsOf) -> None:
        self._standings = standings
        self._options_of = options_of

    def count_done(self, done: Settlement) -> int:
        """How many of the unit's tests are done; adds warnings about a class that has lost its standing."""
        tests = done.unit.tests
        if done.attempt.conclusion.spawn_failure is not None:
            self._standings.leave_alone(tests)
            return 0
        if done.attempt.cause == "cancelled":
            return self._standings.count_done(tests, describe(done))
        count = self._standings.judge(tests, describe(done))
        self._warn(done)
        return count

    def again(self, done: Settlement, count: int) -> list[Unit]:
        """The units that run the tests again, from the one at place *count* on, each alone."""
        conclusion = done.attempt.conclusion
        records = {test.number: record for test, record in conclusion.settled}
        again = alone_units(done.unit, done.unit.tests[count:], self._options_of)
        for unit in again:
            record = records.get(unit.tests[0].number)
            if record is not None and (record.finished or record.cause):
                outcome = worst_outcome(record.notes, succeeded=record.succeeded)
                unit.history = (done.facts(outcome, record.cause, record.attachments),)
                unit.number = 2
        return again

    def note_alone(self, done: Settlement, test: PlannedTest, verdict: str) -> Unit | None:
        """Note the verdict of a test that ran alone; returns a trial of its class, if there is one to begin."""
        left = done.attempt.evidence.leftovers.leaks
        order = self._standings.note_alone(test, "leak" if left else verdict)
        self._warn(done)
        return self._trial(done, order)

    def conclude_trial(self, done: Settlement) -> Unit | None:
        """Note what came of a trial; returns the next one, if there is one."""
        if done.attempt.conclusion.spawn_failure is not None or done.attempt.cause == "cancelled":
            self._standings.leave_alone(done.unit.tests)
            return None
        order = self._standings.note_trial(done.unit.tests, describe(done))
        self._warn(done)
        return self._trial(done, order)

    def _trial(self, done: Settlement, order: list[PlannedTest]) -> Unit | None:
        if not order:
            return None
        options = [self._options_of.together(test) for test in order]
        number = self._standings.trial_of(order[0])
        return Unit(order, options[0], done.unit.group, Needs.of(options), trial=number)

    def _warn(self, done: Settlement) -> None:
        for text in self._standings.warnings:
            done.warn(text)
        self._standings.warnings.clear()
