"""What is known about an attempt that is over, and how its outcome is judged: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from isolatedunit.config.leak_policy import Policy, format_leak
from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import TestRecord
from isolatedunit.engine.scheduling.units import OptionsOf, Unit, isolation_of
from isolatedunit.model.events import Event, RetryScheduled, Warned
from isolatedunit.model.moments import NEVER
from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD, Attachment, AttemptReport, Note, Output, SpawnInfo, worst_outcome


@record()
class Settlement:
    """An attempt that is being settled; *events* collects what is decided."""

    unit: Unit
    attempt: Attempt
    outputs: Sequence[Output]
    spawn_info: SpawnInfo
    now: float
    events: list[Event] = field(default_factory=list)

    def warn(self, text: str | None) -> None:
        """Add a warning, unless *text* is None."""
        if text is not None:
            self.events.append(Warned(self.now, text))

    def note_retry(
        self,
        test: str,
        notes: Sequence[Note],
        outcome: str,
        cause: str | None,
        left: int,
        place: int = 0,
        fixture: str | None = None,
    ) -> None:
        """Another attempt follows: add an event with all that came of this one, since no report will have it."""
        output = self.outputs[place]
        facts = (test, outcome, cause, left, tuple(notes), output.stdout, output.stderr, fixture)
        self.events.append(RetryScheduled(self.now, self.attempt.id, *facts))

    @property
    def earlier(self) -> list[AttemptReport]:
        """The earlier attempts at the unit's tests that were isolated as this one."""
        isolation = isolation_of(self.unit.options)
        return [attempt for attempt in self.unit.history if attempt.isolation == isolation]

    def facts(self, outcome: str, cause: str | None, attachments: Sequence[Attachment] = ()) -> AttemptReport:
        """The report of the attempt, for a test with this outcome and these *attachments*."""
        attempt = self.attempt
        return AttemptReport(
            number=attempt.number,
            outcome=outcome,
            cause=cause,
            exit_code=attempt.evidence.status.exit_code,
            signal=attempt.evidence.status.signal,
            process_id=attempt.process_id,
            duration=_span(attempt.spawned_at, attempt.ended_at) or 0.0,
            spawn_time=_span(attempt.spawned_at, attempt.ready_at),
            cleanup_time=_span(attempt.finished_at, attempt.ended_at),
            cpu_time=attempt.evidence.status.cpu_time,
            memory_usage=_memory_of(attempt),
            handle_stats=attempt.evidence.leftovers.stats,
            start_method=self.spawn_info.start_method,
            fork_after=self.spawn_info.fork_after,
            slot=attempt.slot or None,
            attachments=tuple(attachments),
            isolation=isolation_of(self.unit.options),
        )


def _memory_of(attempt: Attempt) -> dict[str, int | None]:
    usage = {"peak_rss": attempt.peak_rss}
    if attempt.own_memory is not None:
        usage["own"] = attempt.own_memory
    return usage


def _span(begin: float, end: float) -> float | None:
    return None if NEVER in (begin, end) else end - begin


def retries_left(options: Options, number: int, outcome: str, cause: str | None) -> int:
    """How many more tries a test gets whose *number*-th had this result; 0 if it is not tried again."""
    if cause == "cancelled":
        return 0  # the user wanted it to end
    wanted = options.retry_on
    if wanted and outcome not in wanted and cause not in wanted:
        return 0
    return max(0, options.retries + 1 - number)


def fail_if_flaky(history: Sequence[AttemptReport], record: TestRecord) -> None:
    """Fail a test that passed, if an earlier attempt did not."""
    failed = [attempt for attempt in history if attempt.outcome not in GOOD]
    tries = [f"{attempt.outcome} ({attempt.cause})" if attempt.cause else attempt.outcome for attempt in failed]
    if tries:
        text = f"The test passed only on attempt {len(history) + 1}. Earlier attempts: {', '.join(tries)}."
        record.notes.append(Note("addFailure", f"{text}\n", text))
        record.cause = "flaky"


def judge_leaks(done: Settlement, options_of: OptionsOf) -> tuple[list[dict[str, Any]], list[Event]]:
    """The leaks that the last test fails for, and warnings about others; allowed ones are set aside."""
    leftovers = done.attempt.evidence.leftovers
    leaks, incomplete = leftovers.leaks, leftovers.stats.get("incomplete")
    if not leaks and incomplete is None:
        return [], []
    settled, fixture = done.attempt.conclusion.settled, done.unit.fixture
    last = settled[-1][0] if settled else done.unit.tests[-1]
    options, name = (options_of(last), last.id) if fixture is None else (done.unit.options, fixture.id)
    warnings: list[Event] = []
    if incomplete is not None:
        text = f"{name} keeps its outcome, but it is not known what it left behind: looking for that failed"
        warnings.append(Warned(done.now, f"{text} ({incomplete})"))
    judged = Policy(options.leaks, options.allowed_leaks).judge(name, leaks)
    leftovers.allow(judged.allowed)
    failed, warned = judged.failed, judged.warned
    if failed and fixture is not None:
        notes, cause = done.attempt.conclusion.fixtures.get(fixture.id, ([], "leak"))
        done.attempt.conclusion.fixtures[fixture.id] = ([*notes, note_leaks("fixture", failed)], cause)
        failed = []
    elif not settled:  # a fixture failed, and no test can be charged with the leaks
        failed, warned = [], warned + failed
    what = "; ".join(map(format_leak, warned))
    if warned:
        warnings.append(Warned(done.now, f"{name} left behind: {what}"))
    return failed, warnings


def fail_for_leaks(leaks: list[dict[str, Any]], record: TestRecord) -> None:
    """Fail a test that left these behind, unless it has failed already."""
    record.notes.append(note_leaks("test", leaks))
    if worst_outcome(record.notes, succeeded=record.succeeded) == "failed":
        record.cause = record.cause or "leak"


def note_leaks(what: str, leaks: list[dict[str, Any]]) -> Note:
    """The failure of a test or a fixture, whichever *what* is, that left these behind."""
    lines = [f"  {format_leak(leak)}" for leak in leaks]
    text = "\n".join([f"The {what} left {len(lines)} leak{'' if len(lines) == 1 else 's'} behind:", *lines])
    return Note("addFailure", f"{text}\n", text)
