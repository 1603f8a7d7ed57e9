"""What an outcome is worth: whether it is tried again, and whether leaks or luck make it a failure. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isolatedunit.engine.settlement import Settlement
from isolatedunit.engine.stimuli import TestRecord
from isolatedunit.engine.units import OptionsOf
from isolatedunit.events import Event, Warned
from isolatedunit.leaks import Policy, tell_leak
from isolatedunit.options import Options
from isolatedunit.results import GOOD, AttemptReport, Note, worst_outcome


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
        text = f"The test passed only at try {len(history) + 1}. Before that: {', '.join(tries)}."
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
    text = "\n".join([f"The {what} left {len(lines)} behind:", *lines])
    return Note("addFailure", f"{text}\n", text)
