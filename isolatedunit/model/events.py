"""The events that the engine publishes to its listeners: plain values, named in the past tense.

A listener is anything with a ``handle(event)`` method. The unittest result of a run is one of
them, by way of a bridge; the reports and the statistics are others. Times are seconds of the
engine's monotonic clock.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Protocol

from isolatedunit.model.records import record
from isolatedunit.model.results import OUTCOMES, Note, PlannedTest, TestReport


@record(frozen=True)
class Event:
    """Something that happened, and when."""

    time: float


@record(frozen=True)
class RunStarted(Event):
    """The run begins: *planned* tests, in *jobs* children at once, made by *start_method*.

    *shard* is the part of a larger run that this is, as part, number of parts and digest of the division.
    *isolation* and *fork_after* are the options, which single tests may override.
    """

    run: str
    planned: int
    jobs: int
    start_method: str
    shard: tuple[int, int, str] | None = None
    isolation: str = "test"
    fork_after: str = "import"


@record(frozen=True)
class AttemptStarted(Event):
    """An attempt got its slot; *tests* are the ids of what it is to run.

    *process_logging* says whether the life of its process is logged. *machine* is the name of the machine that it runs
    on, empty for that of the runner.
    """

    attempt: str
    tests: tuple[str, ...]
    process_logging: bool = False
    machine: str = ""


@record(frozen=True)
class ChildStarted(Event):
    """An attempt's process is ready, *spawn_time* seconds after it was ordered."""

    attempt: str
    process_id: int
    spawn_time: float


@record(frozen=True)
class TestBegan(Event):
    """A child begins a test that is all it runs, and that will not be tried again; published only if asked for."""

    __test__ = False

    test: PlannedTest


@record(frozen=True)
class TestSlow(Event):
    """A test runs longer than ``slow_after``."""

    __test__ = False

    attempt: str
    test: str
    elapsed: float


@record(frozen=True)
class ChildUnresponsive(Event):
    """A child has sent nothing for five heartbeats: it may be busy in C code, or stuck."""

    attempt: str
    test: str
    silent_for: float


@record(frozen=True)
class PhaseSeen(Event):
    """What a test's process is doing.

    *phase* is the phase of unittest that a heartbeat named, such as ``setUp`` or ``body``; empty for none. A process
    that sleeps in the operating system sends no heartbeat. Its last report tells its phase then: ``import``, a fixture
    such as ``setUpClass``, or ``test`` for all of a test. *waits_for* is what the kernel says it waits for: ``lock``.
    """

    attempt: str
    test: str
    phase: str
    waits_for: str = ""


@record(frozen=True)
class ProgressMade(Event):
    """A test reported its progress: a *fraction* from 0 to 1, and a *text*."""

    attempt: str
    test: str
    fraction: float
    text: str


@record(frozen=True)
class ValueSent(Event):
    """A test sent a value, under a *name* that its author chose.

    *pickled* is the value pickled by dill, in base64, if it is more than plain data. Unpickling it
    runs whatever code the test has put into it.
    """

    attempt: str
    test: str
    name: str
    value: Any
    pickled: str | None


@record(frozen=True)
class OutputWritten(Event):
    """A test's process wrote *text* to *stream*, ``stdout`` or ``stderr``; published as it comes, if asked for."""

    attempt: str
    stream: str
    text: str


@record(frozen=True)
class ResourcesSampled(Event):
    """What the processes of an attempt use now: *rss* in bytes, *cpu_time* in seconds."""

    attempt: str
    rss: int
    cpu_time: float


@record(frozen=True)
class RunInspected(Event):
    """The user asked what is running: for each attempt its test, its state, its age in seconds and its stacks."""

    running: tuple[tuple[str, str, float, str], ...]


@record(frozen=True)
class AttemptFinished(Event):
    """An attempt's process is gone; *tests* are the ids of what it ran.

    *phases* splits its *duration*, as far as that is known, into seconds for ``spawn``, ``import``,
    ``fixtures`` of classes and modules, ``tests`` with their own fixtures, and ``cleanup``. *imports* has the
    seconds that importing each module took, *fixtures* those of each fixture, by unittest's id.
    """

    attempt: str
    tests: tuple[str, ...]
    spawn_time: float | None
    duration: float
    peak_rss: int | None
    cause: str | None
    phases: dict[str, float] = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)
    fixtures: dict[str, float] = field(default_factory=dict)


@record(frozen=True)
class TestQueued(Event):
    """The test with this *number*, which was added during the run, waits for its slot."""

    __test__ = False

    number: int


@record(frozen=True)
class RetryScheduled(Event):
    """A test did not pass and is tried again; *notes*, *stdout* and *stderr* are those of the attempt that failed.

    *fixture* is unittest's id of the fixture that failed, if it was not the test itself.
    """

    attempt: str
    test: str
    outcome: str
    cause: str | None
    retries_left: int
    notes: tuple[Note, ...] = ()
    stdout: str = ""
    stderr: str = ""
    fixture: str | None = None

    def makes_sense(self) -> bool:
        """Whether there is such an outcome."""
        return self.outcome in OUTCOMES


@record(frozen=True)
class TestFinished(Event):
    """A test or a fixture is settled; this is its only report."""

    __test__ = False

    report: TestReport


@record(frozen=True)
class Warned(Event):
    """Something that the user should know and that is no test's outcome; each text is published once."""

    text: str


@record(frozen=True)
class RunCancelled(Event):
    """No further test begins, because of *reason*; *interrupted* says whether that was a Ctrl-C."""

    reason: str
    interrupted: bool


@record(frozen=True)
class RunFinished(Event):
    """The run is over.

    *missing* are the ids of tests that were planned and never reported, which is a bug of isolatedunit. *not_run* are
    the ids of those that did not begin, or were given up, because the run ended early.
    """

    missing: tuple[str, ...]
    not_run: tuple[str, ...] = ()
    statistics: dict[str, Any] = field(default_factory=dict)


class Listener(Protocol):
    """Receives the events of a run.

    A listener that has use only for events of certain classes names these in its attribute ``hears``, a tuple, and
    receives no others: most listeners have nothing to do with most events, and a call costs more than that.
    """

    def handle(self, event: Event) -> None:
        """Handle *event*; must not block, since the run waits meanwhile."""
