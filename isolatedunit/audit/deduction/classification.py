"""Decides what a difference is: pure functions of verdicts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from isolatedunit.audit.deduction.model import Side, Step, Verdict


def find_suspects(alone: Mapping[int, Verdict], together: Mapping[int, Verdict]) -> list[int]:
    """The tests whose outcome or cause differs between the two, in order."""
    return [number for number, verdict in together.items() if number in alone and not verdict.same(alone[number])]


def find_reworded(alone: Mapping[int, Verdict], together: Mapping[int, Verdict]) -> list[int]:
    """The tests that fail on both sides in the same way, but with another message."""
    return [
        number
        for number, verdict in together.items()
        if number in alone
        and verdict.same(alone[number])
        and verdict.failed
        and verdict.message != alone[number].message
    ]


def needs_more(alone: Side, together: Side) -> bool:
    """Whether the verdicts so far would say that a test depends on others, which chance could do, too."""
    return alone.is_stable and together.is_stable and not alone.verdict.same(together.verdict)


def classify(alone: Side, together: Side, steps: Sequence[Step], *, is_external: bool, is_hidden: bool) -> str:
    """The class of a test with these verdicts, for which these *steps* were found.

    *is_external*: what it depends on is not in the process. *is_hidden*: the plain order does not show it.
    """
    if not (alone.is_stable and together.is_stable):
        return "flaky"
    if is_external:
        return "external"
    if not steps:
        return "unexplained"
    if all(step.kind == "import" for step in steps):
        return "import"
    if is_hidden:
        return "masked"
    return "victim" if together.verdict.worse(alone.verdict) else "brittle"


def group_by_cause(causes: Mapping[int, Hashable]) -> list[list[int]]:
    """The tests that have the same cause, the causes of most tests first."""
    groups: dict[Hashable, list[int]] = {}
    for number, cause in causes.items():
        groups.setdefault(cause, []).append(number)
    return sorted(groups.values(), key=lambda numbers: (-len(numbers), numbers[0]))
