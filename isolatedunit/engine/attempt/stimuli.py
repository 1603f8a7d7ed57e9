"""What the loop and an attempt exchange: states, stimuli, actions, and the conclusion. Plain values."""

from __future__ import annotations

import enum
from dataclasses import field

from isolatedunit.model.events import Event
from isolatedunit.model.records import record
from isolatedunit.model.results import Attachment, ExitStatus, Note, PlannedTest
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
    """The attempt may have a child now. With *since*, the child was ordered ahead, and began at that time."""

    since: float | None = None


@record()
class SpawnFailed:
    """No child could be made. With *lasting*, another try would fail in the same way.

    With *fixtures_lost*, the process that held the fixtures it needs is gone.
    """

    text: str
    lasting: bool = False
    fixtures_lost: bool = False


@record()
class ChildExited:
    """The child is gone, and all its reports have been fed. *stacks* are those that it wrote at its end."""

    status: ExitStatus
    stacks: str = ""


@record()
class DeadlinePassed:
    """`Attempt.deadline` has come."""


@record()
class CancelRequested:
    """The attempt is not wanted any more; with *force*, its child gets no time to end by itself."""

    reason: str = "the run was cancelled"
    force: bool = False


@record()
class ProtocolBroken:
    """The child sent something that is no message, or the runner itself failed at dealing with the child."""

    text: str
    cause: str = "ipc"


@record()
class FoundWaiting:
    """The child sleeps in the kernel, and was not asked for a heartbeat, which would have interrupted its call.

    *waits_for* is what for, as far as the kernel tells.
    """

    waits_for: str = ""


@record()
class ChannelLost:
    """The child lost its Connection: its last reports come from its receipt file."""


@record()
class Examined:
    """The condition of the child's process; None if it cannot be found out.

    *load* is the number of processes that want to run for each processor, at least 1.
    """

    condition: Condition | None
    load: float = 1.0


@record()
class LimitExceeded:
    """The child's processes exceeded a limit. *cause* is ``memory``, ``cpu``, ``output`` or ``processes``."""

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
    """Find out the condition of the child's process, and answer with `Examined` at once."""


@record()
class DumpStacks:
    """Have every thread of the child write its stack, and answer with `Examined`."""


@record()
class Terminate:
    """Ask the child to end."""


@record()
class Kill:
    """End the child and every process below it."""


@record()
class Announce:
    """Publish the event."""

    event: Event


@record()
class Answer:
    """Have the runner's handler answer the request, for whose reply the child is waiting."""

    request: Requested


@record()
class Conclude:
    """Conclude the attempt, which is over; `Attempt.conclusion` says what became of it."""


Action = Spawn | Nudge | Examine | DumpStacks | Terminate | Kill | Announce | Answer | Conclude


# ---- the conclusion


@record()
class TestRecord:
    """What is known about one test of the attempt."""

    __test__ = False

    notes: list[Note] = field(default_factory=list)
    finished: bool = False
    counted: bool = True
    succeeded: bool = False
    duration: float = 0.0
    cause: str | None = None
    written: dict[str, int] | None = None
    found: bool = True
    attachments: list[Attachment] = field(default_factory=list)


@record()
class Conclusion:
    """What became of an attempt.

    *settled* are the tests that ended, with their records. *fixtures* are the notes of fixtures by
    unittest's ids, each with its cause. *remaining* are tests that have to run in another
    child, through no fault of their own. *covered* are those that unittest does not run because a fixture
    failed, *stopped* those that were given up because the run stops. *spawn_failure* says
    why there was no child, if there was none.
    """

    settled: list[tuple[PlannedTest, TestRecord]] = field(default_factory=list)
    fixtures: dict[str, tuple[list[Note], str | None]] = field(default_factory=dict)
    remaining: list[PlannedTest] = field(default_factory=list)
    covered: list[PlannedTest] = field(default_factory=list)
    stopped: list[PlannedTest] = field(default_factory=list)
    spawn_failure: SpawnFailed | None = None
