"""What there is to say about a child when it is over. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from isolatedunit.config.leak_policy import Policy, tell_leak
from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import TestRecord
from isolatedunit.engine.scheduling.units import OptionsOf, Unit
from isolatedunit.model.events import Event, RetryScheduled, Warned
from isolatedunit.model.moments import NEVER
from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD, AttemptReport, Note, Output, SpawnInfo, worst_outcome


@record()
class Settlement:
    """An attempt that is being settled."""

    unit: Unit
    attempt: Attempt
    outputs: Sequence[Output]
    spawn_info: SpawnInfo
    now: float
    events: list[Event] = field(default_factory=list)

    def warn(self, text: str | None) -> None:
        """Tell the user, if there is something to be told."""
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

    def facts(self, outcome: str, cause: str | None) -> AttemptReport:
        """What there is to say about the attempt's process, to a test with this outcome."""
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
            handle_stats=attempt.evidence.handle_stats,
            start_method=self.spawn_info.start_method,
            fork_after=self.spawn_info.fork_after,
        )


def _memory_of(attempt: Attempt) -> dict[str, int | None]:
    usage = {"peak_rss": attempt.peak_rss}
    if attempt.own_memory is not None:
        usage["own"] = attempt.own_memory
    return usage


def _span(begin: float, end: float) -> float | None:
    return None if NEVER in (begin, end) else end - begin


def retries_left(options: Options, number: int, outcome: str, cause: str | None) -> int:
    """How many further tries a test has that came out like this at its *number*-th; 0 for what is not tried again."""
    if cause == "cancelled":
        return 0  # somebody wanted it to end
    wanted = options.retry_on
    if wanted and outcome not in wanted and cause not in wanted:
        return 0
    return max(0, options.retries + 1 - number)


def fail_if_flaky(history: Sequence[AttemptReport], record: TestRecord) -> None:
    """The test fails, if it did so before it passed."""
    tries = [f"{one.outcome} ({one.cause})" if one.cause else one.outcome for one in history if one.outcome not in GOOD]
    if tries:
        text = f"The test passed only on attempt {len(history) + 1}. Earlier attempts: {', '.join(tries)}."
        record.notes.append(Note("addFailure", f"{text}\n", text))
        record.cause = "flaky"


def judge_leaks(done: Settlement, options_of: OptionsOf) -> tuple[list[dict[str, Any]], list[Event]]:
    """What the last test fails for, and the warnings; what is allowed is set aside."""
    evidence = done.attempt.evidence
    leaks = evidence.handle_stats.get("leaks")
    if not leaks:
        return [], []
    settled, fixture = done.attempt.conclusion.settled, done.unit.fixture
    last = settled[-1][0] if settled else done.unit.tests[-1]
    options, name = (options_of(last), last.id) if fixture is None else (done.unit.options, fixture.id)
    judged = Policy(options.leaks, options.allowed_leaks).judge(name, leaks)
    evidence.allow_leaks(judged.allowed)
    failed, warned = judged.failed, judged.warned
    if failed and fixture is not None:
        notes, cause = done.attempt.conclusion.fixtures.get(fixture.id, ([], "leak"))
        done.attempt.conclusion.fixtures[fixture.id] = ([*notes, note_leaks("fixture", failed)], cause)
        failed = []
    elif not settled:  # a fixture failed, and there is no test that could be charged with them
        failed, warned = [], warned + failed
    what = "; ".join(map(tell_leak, warned))
    return failed, [Warned(done.now, f"{name} left behind: {what}")] if warned else []


def fail_for_leaks(leaks: list[dict[str, Any]], record: TestRecord) -> None:
    """The test fails, unless it did that already."""
    record.notes.append(note_leaks("test", leaks))
    if worst_outcome(record.notes, succeeded=record.succeeded) == "failed":
        record.cause = record.cause or "leak"


def note_leaks(what: str, leaks: list[dict[str, Any]]) -> Note:
    """The failure of a test or a fixture that left these behind."""
    lines = [f"  {tell_leak(leak)}" for leak in leaks]
    text = "\n".join([f"The {what} left {len(lines)} leak{'' if len(lines) == 1 else 's'} behind:", *lines])
    return Note("addFailure", f"{text}\n", text)
