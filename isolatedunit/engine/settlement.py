"""What there is to say about a child when it is over. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from isolatedunit.engine.attempt import Attempt
from isolatedunit.engine.patience import NEVER
from isolatedunit.engine.units import Unit
from isolatedunit.events import Event, RetryScheduled, Warned
from isolatedunit.records import record
from isolatedunit.results import AttemptReport, MadeBy, Note, Output


@record()
class Settlement:
    """An attempt that is being settled."""

    unit: Unit
    attempt: Attempt
    outputs: Sequence[Output]
    made_by: MadeBy
    now: float
    events: list[Event] = field(default_factory=list)

    def warn(self, text: str | None) -> None:
        """Tell the user, if there is something to be told."""
        if text is not None:
            self.events.append(Warned(self.now, text))

    def tell_retry(
        self,
        test: str,
        notes: Sequence[Note],
        outcome: str,
        cause: str | None,
        left: int,
        place: int = 0,
        fixture: str | None = None,
    ) -> None:
        """Another attempt is to follow: with all that came of this one, since no report will have it."""
        output = self.outputs[place]
        told = (test, outcome, cause, left, tuple(notes), output.stdout, output.stderr, fixture)
        self.events.append(RetryScheduled(self.now, self.attempt.id, *told))

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
            start_method=self.made_by.start_method,
            fork_after=self.made_by.fork_after,
        )


def _memory_of(attempt: Attempt) -> dict[str, int | None]:
    usage = {"peak_rss": attempt.peak_rss}
    if attempt.own_memory is not None:
        usage["own"] = attempt.own_memory
    return usage


def _span(begin: float, end: float) -> float | None:
    return None if NEVER in (begin, end) else end - begin
