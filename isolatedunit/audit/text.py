"""An audit as text: what a terminal shows, and a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from isolatedunit.audit.deduction.classification import group_by_cause
from isolatedunit.audit.deduction.model import Audit, Finding, Side, State, Step

_DOUBLE, _SINGLE = "=" * 70, "-" * 70

_TITLES = {
    "victim": "FAILS AFTER ANOTHER",
    "brittle": "PASSES ONLY AFTER ANOTHER",
    "masked": "FAILS AFTER ANOTHER, IN ANOTHER ORDER",
    "self": "DIFFERS THE SECOND TIME",
    "external": "OUTSIDE THE PROCESS",
    "unexplained": "DIFFERS, UNEXPLAINED",
}

_LONGEST = 90
"""Characters of a message."""

_SHOWN = 5
"""Tests that are listed by name."""

_ANNOUNCING = {"victim", "brittle", "import", "masked", "self", "external", "unexplained"}


def lines_of(audit: Audit) -> Iterator[str]:
    """The lines that tell what an audit has found, the causes of most tests first."""
    findings = {finding.test.number: finding for finding in audit.findings}
    told = [finding for finding in audit.findings if finding.kind in _ANNOUNCING]
    sets = {finding.test.number: _cause_of(finding) for finding in told}
    for numbers in group_by_cause(sets):
        yield _DOUBLE
        yield from _tell([findings[number] for number in numbers])
        yield ""
    for finding in sorted(audit.findings, key=lambda one: one.test.number):
        if finding.kind == "flaky":
            sides = f"alone {_count(finding.alone)}, together {_count(finding.together)}"
            yield f"UNSTABLE, not searched: {_name(finding.test)}   {sides}"
    others = [test for test in audit.messages_differ if test not in {finding.test.id for finding in told}]
    if others:
        yield f"FAIL WITH ANOTHER MESSAGE after others: {_some(others)}"
    if audit.not_looked_at:
        yield f"NOT LOOKED AT: {_some(audit.not_looked_at)}"
    yield from audit.notes
    yield from audit.failed_teardowns
    yield from _sum_up(audit, told)


def _cause_of(finding: Finding) -> tuple[object, ...]:
    """What tests have to share to be told of together: the same steps may change several things."""
    if not finding.steps:
        return (finding.test.number,)
    states = ((state.kind, state.where) for state in finding.states)
    return (finding.role, *(step.number for step in finding.steps), *states)


def _tell(findings: Sequence[Finding]) -> Iterator[str]:
    first = max(findings, key=lambda finding: bool(finding.states))
    title = _TITLES.get(first.kind) or _TITLES["victim" if first.role == "polluter" else "brittle"]
    yield f"{title}: {_name(first.test)}"
    yield _SINGLE
    yield from _tell_verdicts(first)
    for state in first.states:
        yield from _tell_state(state)
    if first.fix is not None:
        yield f"{first.fix.place}; tried, it helps:"
        yield from (f"    {line}" for line in first.fix.text.splitlines())
    if first.polluters:
        yield f"All that have this effect: {', '.join(step.id for step in first.polluters)}"
    if first.cleaners:
        yield f"Repaired by: {', '.join(step.id for step in first.cleaners)}"
    if first.command:
        yield f"Again: {first.command}"
    others = [finding.test.id for finding in findings if finding is not first]
    if others:
        yield f"The same cause: {', '.join(others)}"


def _tell_verdicts(finding: Finding) -> Iterator[str]:
    alone, together = finding.alone, finding.together
    once, then = f"{_ends(alone)} alone ({_count(alone)}){_message(alone)}", _ends(together)
    if finding.kind == "self":
        yield f"{_ends(alone)} the first time, {then} the second time in the same process{_message(together)}"
    elif finding.steps:
        yield f"{once}, {then} after"
        for step in finding.steps:
            yield f"  the import of {step.id}" if step.kind == "import" else f"  {_name(step)}"
        if _message(together):
            yield f"{then} then{_message(together)}"
        if finding.kind == "external":
            yield "What it depends on is outside of the process: isolation does not help."
    else:
        yield f"{once}, {then} with all others{_message(together)}"
    if finding.note:
        yield finding.note
    if finding.order != "plain":
        yield f"The plain order hides it; this one shows it: {finding.order}"


def _tell_state(state: State) -> Iterator[str]:
    yield "because of"
    yield f"  {state.kind:<16}  {state.where}   {state.before} -> {state.after}"
    if state.file is not None:
        place = f"{state.file}:{state.line}" + (f", in {state.function}" if state.function else "")
        yield f"  {'changed in':<16}  {place}"
        if state.source:
            yield f"  {'':<16}  {state.source}"
    if state.trials:
        yield f"Shown by experiment: with this put back, it ends as it does alone ({state.flipped} of {state.trials})."
        if state.others:
            others = "1 other change by the same step does" if state.others == 1 else f"{state.others} other changes do"
            yield f"{others} not matter."


def _sum_up(audit: Audit, told: Sequence[Finding]) -> Iterator[str]:
    counts = {kind: sum(finding.kind == kind for finding in told) for kind in _ANNOUNCING}
    fails = sum(f.kind in ("victim", "import", "masked") and f.role == "polluter" for f in told)
    passes = sum(f.kind in ("brittle", "import", "masked") and f.role == "setter" for f in told)
    parts = [
        f"{number} {words}"
        for number, words in (
            (fails, "after another that makes them fail"),
            (passes, "that pass only after another"),
            (counts["self"], "on their own first run"),
            (counts["external"], "outside the process"),
            (counts["unexplained"], "unexplained"),
        )
        if number
    ]
    yield ""
    dependent = len(told)
    verb = "depends" if dependent == 1 else "depend"
    missing = len(audit.not_looked_at)
    left_out = f"; {missing} {'was' if missing == 1 else 'were'} not looked at" if missing else ""
    causes_of = f": {', '.join(parts)}" if parts else ""
    yield f"{dependent} of {audit.tests} tests {verb} on others{causes_of}{left_out}"
    polluters = {step.id for finding in told for step in finding.steps}
    unstable = sum(finding.kind == "flaky" for finding in audit.findings)
    seconds, processes = audit.run.get("seconds", 0.0), audit.run.get("processes", 0)
    causes = f"{len(polluters)} cause{'' if len(polluters) == 1 else 's'}"
    tests = f"{unstable} unstable test{'' if unstable == 1 else 's'}"
    yield f"{causes}; {tests}, {counts['unexplained']} unexplained; {seconds:.1f} s, {processes:,} processes"
    if audit.interrupted:
        yield "interrupted: this is what was known by then"
    elif audit.cut_off:
        yield "the budget has run out: this is what was known by then; --budget gives more time"


def _some(names: Sequence[str]) -> str:
    """The names, or the first ones and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _name(step: Step) -> str:
    return f"{step.id.rpartition('.')[2]} ({step.id})"


def end_of(outcome: str, cause: str | None) -> str:
    """How a test ends, as a verb."""
    if cause in ("crash", "timeout"):
        return "crashes" if cause == "crash" else "does not end"
    return {
        "passed": "passes",
        "skipped": "is skipped",
        "expectedFailure": "fails as expected",
        "unexpectedSuccess": "passes unexpectedly",
    }.get(outcome, "fails")


def _ends(side: Side) -> str:
    return end_of(side.verdict.outcome, side.verdict.cause)


def _count(side: Side) -> str:
    return f"{side.agreeing} of {side.runs}"


def _message(side: Side) -> str:
    message = side.verdict.message
    if not side.verdict.failed or not message:
        return ""
    return f": {message if len(message) <= _LONGEST else message[: _LONGEST - 3] + '...'}"
