"""Decides what a worker's report of a test or a fixture comes to: no I/O, no clock."""

from __future__ import annotations

from dataclasses import replace

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.stimuli import TestRecord
from isolatedunit.engine.scheduling.settlement import fail_if_flaky, retries_left
from isolatedunit.engine.scheduling.units import OptionsOf
from isolatedunit.executors.driving.batches import Batch
from isolatedunit.model.events import Event, RetryScheduled, TestFinished
from isolatedunit.model.results import GOOD, PASSING, AttemptReport, Note, PlannedTest, TestReport, worst_outcome


class Settlements:
    """Retries, quarantine and the reports of fixtures, which are for the whole run and not for a worker to decide."""

    def __init__(self, options: Options, options_of: OptionsOf) -> None:
        self._options_of = options_of
        self._histories: dict[int, tuple[AttemptReport, ...]] = {}
        self._fixtures: set[tuple[str, str, int]] = set()
        self._quarantine = None
        if options.quarantine:
            from isolatedunit.engine.scheduling.quarantine import Quarantine

            self._quarantine = Quarantine(options.quarantine)

    def settle(self, finished: TestFinished, batch: Batch, events: list[Event]) -> None:
        """Add to *events* what the report comes to; a test that is to be tried again is noted in *batch*."""
        report, test = finished.report, finished.report.planned
        report.attempts = tuple(replace(one, number=batch.number, slot=batch.slot) for one in report.attempts)
        if test is None:
            self._settle_fixture(finished, batch, events)
            return
        del batch.tests[test.number]
        report.attempts = (*self._histories.pop(test.number, ()), *report.attempts)
        left = retries_left(self._options_of(test), batch.number, report.outcome, report.cause)
        if report.outcome not in GOOD and left > 0:
            batch.again.append(test)
            self._histories[test.number] = report.attempts
            events.append(_retry(finished.time, report, left - 1, batch))
            return
        self._judge(report, [test])
        events.append(finished)

    def report_lost(self, test: PlannedTest, times: int, machine: str, why: str) -> TestReport:
        """The report of a test that was lost so many *times*, at last on *machine*."""
        where = f" on {machine}" if machine else ""
        text = f"The worker that ran this test was lost {times} times, the last time{where}: {why}."
        history = self._histories.pop(test.number, ())
        note = Note("addError", f"{text}\n", text)
        return TestReport(
            test.id, "error", "worker-lost", notes=(note,), attempts=history, planned=test, place=test.number
        )

    def _settle_fixture(self, finished: TestFinished, batch: Batch, events: list[Event]) -> None:
        report, affected = finished.report, finished.report.affected
        key = batch.family, report.id, 0 if affected is None else affected.class_number
        if affected is not None and report.id.startswith("setUp") and report.outcome not in GOOD:
            left = retries_left(self._options_of(affected), batch.number, report.outcome, report.cause)
            if left > 0:
                owner = report.id.partition(" ")[2][1:-1]
                covered = [test for test in batch.tests.values() if owner in (test.class_id, test.module)]
                for test in covered:
                    del batch.tests[test.number]
                    self._histories[test.number] = (*self._histories.get(test.number, ()), *report.attempts)
                batch.again += covered
                events.append(_retry(finished.time, report, left - 1, batch, test=affected.id, fixture=report.id))
                return
        if key in self._fixtures:
            return  # an incarnation that was lost has reported it already
        self._fixtures.add(key)
        self._judge(report, [] if affected is None else [affected])
        events.append(finished)

    def _judge(self, report: TestReport, tests: list[PlannedTest]) -> None:
        """Fail a test that passed only after a retry if that is what its options say; excuse one in quarantine."""
        passed_late = report.outcome in PASSING and len(report.attempts) > 1
        if tests and passed_late and self._options_of(tests[0]).flaky == "fail":
            record = TestRecord(list(report.notes), succeeded=report.succeeded, cause=report.cause)
            fail_if_flaky(report.attempts[:-1], record)
            report.notes, report.cause = tuple(record.notes), record.cause
            report.outcome = worst_outcome(record.notes, succeeded=record.succeeded)
        if self._quarantine is not None and tests and report.outcome not in GOOD and report.cause != "cancelled":
            excuse, notes = self._quarantine.excuse(tests, report.notes, succeeded=report.succeeded)
            if excuse is not None:
                report.quarantine, report.notes = excuse, notes
                report.outcome, report.succeeded = "expectedFailure", False


def _retry(
    time: float, report: TestReport, left: int, batch: Batch, *, test: str | None = None, fixture: str | None = None
) -> RetryScheduled:
    number = "" if report.planned is None else report.planned.number
    return RetryScheduled(
        time,
        f"{batch.incarnation}/{number}#{batch.number}",
        test or report.id,
        report.outcome,
        report.cause,
        left,
        report.notes,
        report.stdout,
        report.stderr,
        fixture,
    )
