"""The words between the loop and an attempt: states, stimuli, actions, and what came of it. Plain values."""

from __future__ import annotations

import enum
from dataclasses import field

from isolatedunit.model.events import Event
from isolatedunit.model.records import record
from isolatedunit.model.results import ExitStatus, Note, PlannedTest
from isolatedunit.model.usage import Condition
from isolatedunit.protocol.messages import Report, Requested


class State(enum.Enum):
    """Where an attempt stands."""

    QUEUED = "queued"
    SPAWNING = "spawning"
    RUNNING = "running"
    EXITING = "exiting"
    TERMINATING = "terminating"
    DONE = "done"

    __hash__ = object.__hash__  # each is one object; Enum's is written in Python, and every stimulus needs one


# ---- stimuli: the reports of a child, and these from the loop


@record()
class SlotGranted:
    """The attempt may have a child now; it was ordered before, and its slot has been free *since* then."""

    since: float | None = None


@record()
class SpawnFailed:
    """No child could be made. *lasting*: a second try would fail in the same way.

    *fixtures_lost*: the fixtures that it needs are not set up any more.
    """

    text: str
    lasting: bool = False
    fixtures_lost: bool = False


@record()
class ChildExited:
    """The child is gone, and all that it said was heard. *stacks* is what it wrote at its end."""

    status: ExitStatus
    stacks: str = ""


@record()
class DeadlinePassed:
    """The time that `Attempt.deadline` named has come."""


@record()
class CancelRequested:
    """The attempt is not wanted any more. *force*: there is no time for grace."""

    reason: str = "the run was cancelled"
    force: bool = False


@record()
class ProtocolBroken:
    """The child cannot be talked with any more: it sent what is no message, or the runner itself failed at that."""

    text: str


@record()
class FoundWaiting:
    """The child was not asked for a heartbeat, since it sleeps in the kernel: it holds nobody up."""


@record()
class ChannelLost:
    """The child's last reports came by way of its receipt file."""


@record()
class Examined:
    """How the child's process fares; None when that cannot be found out."""

    condition: Condition | None


@record()
class LimitExceeded:
    """The child's processes used more than they may. *cause* is ``memory``, ``cpu``, ``output`` or ``processes``."""

    cause: str
    text: str


Stimulus = (
    Report
    | SlotGranted
    | SpawnFailed
    | ChildExited
    | DeadlinePassed
    | CancelRequested
    | ProtocolBroken
    | FoundWaiting
    | ChannelLost
    | Examined
    | LimitExceeded
)


# ---- actions


@record()
class Spawn:
    """Make the child."""


@record()
class Nudge:
    """Ask the child for a heartbeat."""


@record()
class Examine:
    """Find out how the child's process fares; `Examined` is the answer, always and at once."""


@record()
class DumpStacks:
    """Have every thread of the child write its stack, and find out how it fares."""


@record()
class Terminate:
    """Ask the child to end."""


@record()
class Kill:
    """End the child and every process below it."""


@record()
class Announce:
    """Tell the listeners."""

    event: Event


@record()
class Answer:
    """Have the runner's handler answer what the child asked; the child waits for the reply."""

    request: Requested


@record()
class Conclude:
    """The attempt is over; `Attempt.conclusion` says what came of it."""


Action = Spawn | Nudge | Examine | DumpStacks | Terminate | Kill | Announce | Answer | Conclude


# ---- what came of it


@record()
class TestRecord:
    """What is known of one test of the attempt."""

    __test__ = False

    notes: list[Note] = field(default_factory=list)
    finished: bool = False
    counted: bool = True
    succeeded: bool = False
    duration: float = 0.0
    cause: str | None = None
    written: dict[str, int] | None = None


@record()
class Conclusion:
    """What came of an attempt.

    *settled* are the tests that ended, with their records; *fixtures* the notes of fixtures by
    unittest's id for them, with the cause of each; *remaining* those that must be tried in another
    child through no fault of theirs; *covered* those that unittest does not run since a fixture
    failed; *stopped* those that were given up because the run was to stop. *spawn_failure* tells
    why there was no child to run anything in.
    """

    settled: list[tuple[PlannedTest, TestRecord]] = field(default_factory=list)
    fixtures: dict[str, tuple[list[Note], str | None]] = field(default_factory=dict)
    remaining: list[PlannedTest] = field(default_factory=list)
    covered: list[PlannedTest] = field(default_factory=list)
    stopped: list[PlannedTest] = field(default_factory=list)
    spawn_failure: SpawnFailed | None = None
