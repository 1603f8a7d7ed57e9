"""Decides what becomes of the tests and fixtures of an attempt that is over: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isolatedunit.engine.attempt.stimuli import SpawnFailed, TestRecord
from isolatedunit.engine.scheduling.backlog import Backlog
from isolatedunit.engine.scheduling.fixtures import Fixture, FixtureScopes, ScopeState
from isolatedunit.engine.scheduling.settlement import (
    Settlement,
    fail_for_leaks,
    fail_if_flaky,
    judge_leaks,
    retries_left,
)
from isolatedunit.engine.scheduling.slots import Needs
from isolatedunit.engine.scheduling.units import OptionsOf, Unit
from isolatedunit.model.events import TestFinished
from isolatedunit.model.results import GOOD, PASSING, Note, Output, PlannedTest, TestReport, worst_outcome

if TYPE_CHECKING:
    from isolatedunit.engine.scheduling.quarantine import Quarantine
    from isolatedunit.engine.scheduling.sharing import Sharing

SPAWN_TRIES = 3
"""How often a child is tried to be made before its tests are reported."""


def count_encounters(tests: Sequence[PlannedTest]) -> dict[tuple[int, str], int]:
    """How often unittest has met a test's class, or module, before it meets it again; without those that it meets once.

    It sets a class up anew after tests of another class. A base class that two modules import is met twice.
    """
    met: dict[tuple[int, str], int] = {}
    found: dict[tuple[int, str], int] = {}
    before: dict[int, PlannedTest] = {}
    for test in sorted(tests, key=lambda test: test.number):
        last = before.get(test.turn)
        for owner, is_next in (
            (test.class_id, last is None or _class_of(last) != _class_of(test)),
            (test.module, last is None or last.module != test.module),
        ):
            met[test.turn, owner] = met.get((test.turn, owner), -1) + is_next
            if met[test.turn, owner]:
                found[test.number, owner] = met[test.turn, owner]
        before[test.turn] = test
    return found


def _class_of(test: PlannedTest) -> tuple[str, int]:
    return test.class_id, test.class_number


class Settler:
    """Reports what has come to an end, and puts the rest back into *backlog*.

    *unreported* are the tests without a report, by their numbers. Nothing is tried again when the run is *cancelled*.
    """

    def __init__(
        self,
        tests: Sequence[PlannedTest],
        options_of: OptionsOf,
        backlog: Backlog,
        scopes: FixtureScopes,
        quarantine: Quarantine | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self.unreported = {test.number: test for test in tests}
        self.cancelled = False
        self._options_of = options_of
        self._backlog = backlog
        self._scopes = scopes
        self._quarantine = quarantine
        self._sharing = sharing
        self._spawn_budget = 20 + len(tests) // 10
        self._reported_fixtures: set[tuple[int, int, str]] = set()
        self._covered: set[tuple[int, int, str]] = set()
        self._encounters = count_encounters(tests)

    def expect(self, test: PlannedTest) -> None:
        """One more test is going to be settled."""
        self._spawn_budget += 1
        self.unreported[test.number] = test

    def covers(self, test: PlannedTest) -> bool:
        """Whether the test does not run since a fixture that it needs has failed, and was reported in its place."""
        return bool(self._covered) and any(
            (test.turn, self._encounter(test, name), f"({name})") in self._covered
            for name in (test.class_id, test.module)
        )

    def _encounter(self, test: PlannedTest, owner: str) -> int:
        return self._encounters.get((test.number, owner), 0)

    def without_covered(self, tests: Iterable[PlannedTest]) -> list[PlannedTest]:
        """Those of the tests that no failed fixture covers."""
        return [test for test in tests if not self.covers(test)] if self._covered else list(tests)

    def settle(self, done: Settlement) -> None:
        """Report, or put back, all that the attempt was to run; adds to the events of *done*."""
        conclusion = done.attempt.conclusion
        if self._sharing is not None and done.unit.is_on_trust:
            self._settle_shared(done, self._sharing)
            return
        if conclusion.spawn_failure is not None:
            self._settle_spawn_failure(done, conclusion.spawn_failure)
            return
        failing, warnings = judge_leaks(done, self._options_of)
        self._settle_fixtures(done, "setUp")
        self._settle_tests(done, failing)
        self._settle_fixtures(done, "tearDown")
        done.events += warnings
        remaining = conclusion.remaining
        if remaining:
            # a child may say that it has done the second test and not the first: an id is for one attempt only
            repeated = done.unit.repeated + (remaining[0] is done.unit.tests[0])
            self._backlog.put_back(replace(done.unit, tests=remaining, spawn_tries=0, repeated=repeated))
        fixture = done.unit.fixture
        if fixture is not None and fixture.scope.state is not ScopeState.TO_SET_UP:  # as when it is tried again
            done.warn(self._scopes.conclude(fixture, done.attempt))

    def _settle_shared(self, done: Settlement, sharing: Sharing) -> None:
        """Report the tests of a shared process that did as expected; run the others again, alone."""
        if done.unit.trial:
            self._begin_trial(sharing.conclude_trial(done))
            return
        count = sharing.count_done(done)
        finished = {test.number for test in done.unit.tests[:count]}
        for place, (test, record) in enumerate(done.attempt.conclusion.settled):
            if test.number in finished or record.cause == "cancelled":
                self._finish(done, test, record, done.outputs[place])
                finished.add(test.number)
        for unit in reversed(sharing.again(done, count)):
            if unit.tests[0].number not in finished:  # nothing begins any more where somebody has ended the run
                self._backlog.put_back(unit)

    def _begin_trial(self, trial: Unit | None) -> None:
        if trial is not None and not self.cancelled:
            self._backlog.add(trial)

    def _settle_spawn_failure(self, done: Settlement, failure: SpawnFailed) -> None:
        tries = done.unit.spawn_tries + 1
        fixture = done.unit.fixture
        if failure.fixtures_lost:
            done.warn(self._scopes.lose(self._scopes.used_by(fixture or done.unit.tests[0])))
        # fixtures that are lost are set up again, if there is anything to set them up for
        lasting = failure.lasting or (failure.fixtures_lost and fixture is not None and not fixture.sets_up)
        affordable = failure.fixtures_lost or self._spawn_budget > 0
        if not lasting and tries < SPAWN_TRIES and affordable and not self.cancelled:
            self._spawn_budget -= not failure.fixtures_lost
            self._backlog.put_back(replace(done.unit, spawn_tries=tries))
            return
        often = "" if tries == 1 else f" ({tries} tries)"
        text = f"The test could not be started{often}: {failure.text}.\n"
        if fixture is not None:
            self._do_without_fixture(done, fixture, f"could not be run{often}: {failure.text}", failure)
            return
        for test in done.unit.tests:
            self._finish(done, test, TestRecord(notes=[Note("addError", text, text)], cause="spawn"), done.outputs[0])

    def _do_without_fixture(self, done: Settlement, fixture: Fixture, why: str, failure: SpawnFailed) -> None:
        if fixture.sets_up:
            done.warn(self._scopes.refuse(fixture, why))
            return
        text = f"{fixture.id} {why}.\n"
        cause = "crash" if failure.fixtures_lost else "spawn"
        done.attempt.conclusion.fixtures[fixture.id] = ([Note("addError", text, text)], cause)
        self._settle_fixtures(done, "tearDown")
        fixture.scope.state = ScopeState.GONE

    def _settle_fixtures(self, done: Settlement, step: str) -> None:
        """Report those that set up, or all others: whatever else unittest was told of comes after the tests."""
        tests = done.unit.tests
        turn = tests[0].turn if tests else 0
        for fixture, (notes, cause) in done.attempt.conclusion.fixtures.items():
            if fixture.startswith("setUp") != (step == "setUp"):
                continue
            outcome = worst_outcome(notes, succeeded=False)
            name = fixture.partition(" ")[2]
            # one process may have set up some of the classes with this name, and failed to set up others
            covered = done.attempt.conclusion.covered if fixture.startswith("setUp") else []
            in_need = [test for test in covered or tests if name[1:-1] in (test.class_id, test.module)]
            encounters = sorted({self._encounter(test, name[1:-1]) for test in in_need}) or [0]
            if fixture.startswith("setUp"):
                if outcome not in GOOD and self._retry_fixture(done, fixture, notes, cause):
                    continue
                # a child speaks for the class and the module of its own tests, and for no others
                # where it was cancelled, nothing was wrong: its tests are among those that did not run
                if in_need and not (self.cancelled and cause == "cancelled"):
                    self._covered.update((turn, encounter, name) for encounter in encounters)
            affected = in_need[0] if in_need else None
            if len(encounters) == len(notes):  # one process met it several times
                for encounter, note in zip(encounters, notes, strict=True):
                    self._report_fixture(done, fixture, [note], cause, (turn, encounter), affected)
            else:
                self._report_fixture(done, fixture, notes, cause, (turn, encounters[0]), affected)

    def _report_fixture(
        self,
        done: Settlement,
        fixture: str,
        notes: Sequence[Note],
        cause: str | None,
        met: tuple[int, int],
        affected: PlannedTest | None,
    ) -> None:
        """Report the fixture, unless another process of ours has met it, too: unittest reports it once."""
        if (*met, fixture) in self._reported_fixtures:
            return
        self._reported_fixtures.add((*met, fixture))
        outcome, tests = worst_outcome(notes, succeeded=False), done.unit.tests
        owner = fixture.partition(" ")[2][1:-1]
        above = [test for test in (*tests, *self.unreported.values()) if owner in (test.class_id, test.module)]
        excuse, shown = self._excuse(above, notes, cause)
        report = TestReport(
            id=fixture,
            outcome=outcome if excuse is None else "expectedFailure",
            cause=cause,
            notes=shown,
            counted=False,
            stdout=done.outputs[0].stdout,
            stderr=done.outputs[0].stderr,
            attempts=(*done.unit.history, done.facts(outcome, cause)),
            place=tests[0].number - 0.5 if fixture.startswith("setUp") else tests[-1].number + 0.5,
            affected=affected,
            quarantine=excuse,
        )
        done.events.append(TestFinished(done.now, report))

    def _excuse(
        self, tests: Sequence[PlannedTest], notes: Sequence[Note], cause: str | None, *, succeeded: bool = False
    ) -> tuple[str | None, tuple[Note, ...]]:
        """Why a failure does not count, None if it does or there is none, and its notes as they are reported."""
        if self._quarantine is None or cause == "cancelled":
            return None, tuple(notes)
        return self._quarantine.excuse(tests, notes, succeeded=succeeded)

    def _retry_fixture(self, done: Settlement, fixture: str, notes: Sequence[Note], cause: str | None) -> bool:
        unit, conclusion = done.unit, done.attempt.conclusion
        outcome = worst_outcome(notes, succeeded=False)
        left = retries_left(unit.options, unit.number, outcome, cause)
        if left <= 0 or self.cancelled:
            return False
        if unit.fixture is not None:
            unit.fixture.try_again(done.facts(outcome, cause))
            done.note_retry(fixture, notes, outcome, cause, left - 1, fixture=fixture)
            return True
        if not conclusion.covered:
            return False
        covered, conclusion.covered = conclusion.covered, []
        self._backlog.retry(replace(unit, tests=covered, number=unit.number + 1), done.now)
        done.note_retry(covered[0].id, notes, outcome, cause, left - 1, fixture=fixture)
        return True

    def _settle_tests(self, done: Settlement, leaks: list[dict[str, Any]]) -> None:
        settled = done.attempt.conclusion.settled
        for place, (test, record) in enumerate(settled):
            options = self._options_of(test)
            if leaks and place == len(settled) - 1:
                fail_for_leaks(leaks, record)
            if options.memory_limit is not None and any(note.exception == "MemoryError" for note in record.notes):
                record.cause = record.cause or "memory"  # the kernel gave it no more than that
            outcome = worst_outcome(record.notes, succeeded=record.succeeded)
            left = retries_left(options, done.unit.tries, outcome, record.cause)
            if outcome in GOOD or left <= 0 or self.cancelled:
                if outcome in PASSING and options.flaky == "fail":
                    fail_if_flaky(done.earlier, record)
                self._finish(done, test, record, done.outputs[place])
                self._note_alone(done, test, record)
                continue
            history = (*done.unit.history, done.facts(outcome, record.cause, record.attachments))
            again = Unit([test], options, done.unit.group, Needs.of([options]), done.unit.number + 1, history=history)
            self._backlog.retry(again, done.now)
            done.note_retry(test.id, record.notes, outcome, record.cause, left - 1, place)

    def _note_alone(self, done: Settlement, test: PlannedTest, record: TestRecord) -> None:
        """A test came to its verdict, which counts for its class if it ran alone."""
        if self._sharing is None or self.cancelled or done.unit.options.isolation != "test":
            return
        was_retried = any(attempt.outcome not in GOOD for attempt in done.earlier)
        outcome = worst_outcome(record.notes, succeeded=record.succeeded)
        verdict = "flaky" if was_retried else record.cause or outcome
        self._begin_trial(self._sharing.note_alone(done, test, verdict))

    def _finish(self, done: Settlement, test: PlannedTest, record: TestRecord, output: Output) -> None:
        outcome = worst_outcome(record.notes, succeeded=record.succeeded)
        excuse, notes = self._excuse([test], record.notes, record.cause, succeeded=record.succeeded)
        report = TestReport(
            id=test.id,
            outcome=outcome if excuse is None else "expectedFailure",
            cause=record.cause,
            duration=record.duration,
            notes=notes,
            counted=record.counted,
            succeeded=record.succeeded and excuse is None,
            stdout=output.stdout,
            stderr=output.stderr,
            attempts=(*done.unit.history, done.facts(outcome, record.cause, record.attachments)),
            planned=test,
            found=record.found,
            place=test.number,
            returned=done.attempt.evidence.returned,
            raised=done.attempt.evidence.raised,
            session=done.attempt.evidence.session,
            quarantine=excuse,
        )
        self.unreported.pop(test.number, None)
        self._scopes.finish(test)
        done.events.append(TestFinished(done.now, report))
