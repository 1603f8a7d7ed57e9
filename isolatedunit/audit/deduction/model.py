"""What an audit is about: steps, verdicts, and what was found out about a test. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from isolatedunit.model.records import record
from isolatedunit.model.results import OUTCOMES

CLASSES = ("victim", "brittle", "import", "self", "masked", "external", "unexplained", "flaky")
"""What a test may turn out to be, in the order in which reports have them.

A *victim* fails only after another test, and a *brittle* one passes only after another. *import*: it is the import of a
module that it takes. *self*: the second of two runs in one process differs. *masked*: in the plain order another
test repairs what a polluter did. *external*: what it depends on is outside of the process. *unexplained*: it differs,
and no smaller set of steps makes it so. *flaky*: it differs from itself.
"""


@record(frozen=True)
class Verdict:
    """What became of a test: *message* is the first line of what was said about it, and is never compared."""

    outcome: str
    cause: str | None = None
    message: str = ""

    def same(self, other: Verdict) -> bool:
        """Whether the two do not differ in outcome and cause."""
        return (self.outcome, self.cause) == (other.outcome, other.cause)

    def worse(self, other: Verdict) -> bool:
        """Whether this is a worse outcome than the *other*, or an equally bad one of another cause."""
        mine, others = OUTCOMES.index(self.outcome), OUTCOMES.index(other.outcome)
        return mine > others or (mine == others and self.cause is not None)

    @property
    def failed(self) -> bool:
        """Whether it makes a run fail."""
        return OUTCOMES.index(self.outcome) > OUTCOMES.index("skipped")


LOST = Verdict("error", "lost", "its process was ended before the test began")
"""Stands for the verdict of a trial that did not get to its test."""


@record(frozen=True)
class Side:
    """The verdicts of a test in one situation: *agreeing* of its *runs* are like the *verdict*, which most are."""

    verdict: Verdict
    runs: int = 1
    agreeing: int = 1

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> Side:
        """The side with these verdicts. A trial that was lost says nothing, unless all were."""
        verdicts = [verdict for verdict in verdicts if not verdict.same(LOST)] or verdicts
        counts = [sum(one.same(other) for other in verdicts) for one in verdicts]
        best = max(range(len(verdicts)), key=counts.__getitem__)
        return cls(verdicts[best], len(verdicts), counts[best])

    @property
    def is_stable(self) -> bool:
        """Whether all runs had the same verdict."""
        return self.agreeing == self.runs


@record(frozen=True)
class Step:
    """One step of the suite: the import of a module, or a test. *number* is its place in the plan, and in every order.

    *needs* is the number of the step that imports a test's module; *id* is the test's, or the module's name.
    """

    number: int
    kind: str
    id: str
    needs: int | None = None
    module: str = ""


@record()
class State:
    """A change that makes a test differ: what one step left behind, from where.

    *kind* and *where* say what changed. *file*, *line*, *function* and *source* are those of the code that changed it,
    as far as they are known. *trials* experiments were made, and *flipped* of them, with nothing but this put back,
    gave the verdict that the test has alone. *others* counts the changes by the same step that do not matter.
    """

    kind: str
    where: str
    before: str
    after: str
    file: str | None = None
    line: int | None = None
    function: str | None = None
    source: str = ""
    trials: int = 0
    flipped: int = 0
    others: int = 0


@record()
class Fix:
    """A line that is offered, to stand before *line* of *file*, or at its top if that is None; *tried* and it helps."""

    file: str
    line: int | None
    text: str
    tried: bool = False
    place: str = ""


@record()
class Finding:
    """What was found out about one test.

    *steps* are the smallest set that makes it differ, in their order. *role* is ``polluter`` or ``setter``. *order* is
    the order of the suite in which it differs.
    """

    test: Step
    kind: str
    alone: Side
    together: Side
    steps: tuple[Step, ...] = ()
    cleaner: Step | None = None
    order: str = "plain"
    trials: int = 0
    seconds: float = 0.0
    states: list[State] = field(default_factory=list)
    fix: Fix | None = None
    command: str = ""
    note: str = ""
    polluters: tuple[Step, ...] = ()
    cleaners: tuple[Step, ...] = ()

    @property
    def role(self) -> str:
        """What the steps are to the test."""
        return "polluter" if self.together.verdict.worse(self.alone.verdict) else "setter"


@record()
class Audit:
    """All that an audit has found out, and what it cost."""

    tests: int
    findings: list[Finding] = field(default_factory=list)
    not_looked_at: list[str] = field(default_factory=list)
    messages_differ: list[str] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    cut_off: bool = False
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)
    failed_teardowns: list[str] = field(default_factory=list)
