"""The tests of a run, and their results: plain values.

The words are unittest's where it has one. An *outcome* says how a test ended, a *cause* why that
was not the test's own doing, and a *note* is one call that unittest made on its result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from isolatedunit.model.records import record
from isolatedunit.model.subtests import SUBTEST_KEYS

OUTCOMES = ("passed", "expectedFailure", "skipped", "unexpectedSuccess", "failed", "error")
"""Every outcome, from best to worst. A test with several notes has the worst of their outcomes."""

CAUSES = (
    "crash",
    "timeout",
    "memory",
    "cpu",
    "output",
    "processes",
    "spawn",
    "ipc",
    "leak",
    "flaky",
    "quarantine",
    "cancelled",
    "worker-lost",
)

OUTCOME_OF_NOTE = {
    "addSuccess": "passed",
    "addSubTest": "passed",
    "addExpectedFailure": "expectedFailure",
    "addSkip": "skipped",
    "addUnexpectedSuccess": "unexpectedSuccess",
    "addFailure": "failed",
    "addError": "error",
}


@record(frozen=True)
class PlannedTest:
    """One test that is to run: its place in the run, its names, and where it is found.

    *module* and *class_id* are those of its class, as unittest names them in the ids of fixtures. *class_number* counts
    from 0 the classes with this id, of which a function may make many.
    *home* is what has to be imported for it, and *address* is how it is found there (see
    `isolatedunit.collection.addresses`). *overrides* are the options that the class or the method sets.
    *reports* are its results, if listing the tests has run it already. *prefix* are the import
    statements that its module begins with. *turn* counts from 0 if a test runs several times.
    *fixtures* is False only if neither its class nor its module can have any. *name_in_command* is a name that makes a
    command line run this test, None where there is none; it stands for other tests, too, if *needs_id* is set.
    *occurrence* counts from 1 where several tests of the run have one id, and is 0 elsewhere. *tags* are those of its
    class and its method. *location* is the file and the line of its function, if that was asked for.
    """

    number: int
    id: str
    name: str
    description: str | None
    class_id: str
    module: str
    home: dict[str, Any] = field(default_factory=dict)
    address: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    reports: tuple[dict[str, Any], ...] = ()
    cause: str | None = None
    prefix: tuple[str, ...] = ()
    turn: int = 0
    fixtures: bool = True
    name_in_command: str | None = None
    needs_id: bool = False
    tags: tuple[str, ...] = ()
    location: tuple[str, int] | None = None
    occurrence: int = 0
    class_number: int = 0

    @property
    def unique_id(self) -> str:
        """The id, followed by ``#`` and the occurrence where several tests of the run have that id."""
        return f"{self.id}#{self.occurrence}" if self.occurrence else self.id


@record(frozen=True)
class Note:
    """One call that unittest made on its result, other than ``addSuccess``.

    *kind* is the method's name; ``addSubTest`` stands for a subtest that passed, and is there only if somebody wants to
    hear of it. *text* is the formatted traceback or the reason of a skip, *message* the exception's text, *exception*
    the name of its class. *subtest* has ``id`` and ``description``. *expected* and *actual* show the two sides of a
    comparison that failed, *source* the lines of the test around the place where it failed. *diff* is that of a
    comparison whose text does not have it, since it is too long for unittest.
    """

    kind: str
    text: str = ""
    message: str = ""
    exception: str | None = None
    subtest: dict[str, str] | None = None
    expected: str | None = None
    actual: str | None = None
    source: str = ""
    diff: str = ""

    def makes_sense(self) -> bool:
        """Whether unittest has such a method, and a subtest has all that distinguishes it from others."""
        return self.kind in OUTCOME_OF_NOTE and (self.subtest is None or self.subtest.keys() >= SUBTEST_KEYS)

    @property
    def outcome(self) -> str:
        """The outcome that unittest gives a test with this note."""
        return OUTCOME_OF_NOTE[self.kind]


@record(frozen=True)
class ExitStatus:
    """How a child ended, according to the operating system.

    *exit_code* is None after a *signal*, which is given by name; both are None if nobody knows. *cpu_time*
    is in seconds and *peak_rss* in bytes. *leftovers* are the processes that outlived the child, and were ended,
    and in a sandbox the files that it had changed outside of what is its own.
    """

    exit_code: int | None = None
    signal: str | None = None
    cpu_time: float | None = None
    peak_rss: int | None = None
    leftovers: tuple[dict[str, Any], ...] = ()

    def __str__(self) -> str:
        if self.signal is not None:
            return f"was killed by {self.signal}"
        if self.exit_code is not None:
            return f"exited with code {self.exit_code}"
        return "ended in a way that the system does not report"


@record(frozen=True)
class Output:
    """The output of an attempt's processes, as much of it as is kept."""

    stdout: str = ""
    stderr: str = ""


@record(frozen=True)
class SpawnInfo:
    """How a child was made; *fork_after* is None if it was not forked."""

    start_method: str
    fork_after: str | None = None


@record(frozen=True)
class Attachment:
    """A file that a test has added to its report: its *name*, and its *data* in base64, which may be of a text."""

    name: str
    data: str
    is_text: bool = False


@record(frozen=True)
class AttemptReport:
    """One attempt at a test, with the facts about its process.

    Durations are in seconds: *duration* from the spawn to the end, *spawn_time* until the child
    was ready, *cleanup_time* from the test's end to the process's. *memory_usage* has ``peak_rss``
    in bytes. *slot* is the number of the slot that the process had, from 1 on. *attachments* are files of the test's.
    *isolation* is what had the process: the ``test`` alone, its ``class`` or ``module``, or with ``none`` the run.
    """

    number: int
    outcome: str
    cause: str | None
    exit_code: int | None
    signal: str | None
    process_id: int | None
    duration: float
    spawn_time: float | None
    cleanup_time: float | None
    cpu_time: float | None
    memory_usage: dict[str, int | None]
    handle_stats: dict[str, Any]
    start_method: str
    fork_after: str | None
    slot: int | None = None
    attachments: tuple[Attachment, ...] = ()
    isolation: str = "test"

    def makes_sense(self) -> bool:
        """Whether the outcome is one of `OUTCOMES`."""
        return self.outcome in OUTCOMES


@record()
class TestReport:
    """The result of one test, or of a fixture of a class or module.

    *duration* is the test's own, in seconds, as unittest measures it. *counted* says whether unittest counts it among
    the tests that ran, which it does not do for fixtures. *place* orders the reports of a run as its tests were
    planned. *returned* is the return value of an isolated function, pickled by dill, in base64 if it was short, and
    *raised* the exception that it raised; *session* is that of its SDK. *affected* is a test that needs the fixture,
    in a fixture's report. *quarantine* is why its failure, which its last attempt has, does not fail the run; None if
    it did not fail, or does so. A test that was not *found* did not run: there is none with this name, or its module
    could not be imported.
    """

    __test__ = False  # pytest: this is not a test

    id: str
    outcome: str
    cause: str | None = None
    duration: float = 0.0
    notes: tuple[Note, ...] = ()
    counted: bool = True
    succeeded: bool = False
    stdout: str = ""
    stderr: str = ""
    attempts: tuple[AttemptReport, ...] = ()
    planned: PlannedTest | None = None
    place: float = 0.0
    returned: str | bytes | None = None
    raised: str | None = None
    session: dict[str, Any] | None = None
    affected: PlannedTest | None = None
    quarantine: str | None = None
    found: bool = True

    def makes_sense(self) -> bool:
        """Whether the outcome is one of `OUTCOMES`."""
        return self.outcome in OUTCOMES

    @property
    def lost(self) -> bool:
        """Whether the process that was to run the test has no test with this name."""
        return not self.found and any((note.exception or "").endswith("TestNotFound") for note in self.notes)

    @property
    def is_fixture(self) -> bool:
        """Whether this is the report of a ``setUpClass`` or the like, and not of a test."""
        return self.planned is None

    @property
    def flaky(self) -> bool:
        """Whether the test passed after an attempt that had not, whatever that counts as."""
        came_out_well = (self.outcome in PASSING and self.quarantine is None) or self.cause == "flaky"
        return came_out_well and any(attempt.outcome not in GOOD for attempt in comparable(self.attempts)[:-1])

    @property
    def isolation(self) -> str | None:
        """What had the process of the attempt that counts; None if there was no attempt."""
        return self.attempts[-1].isolation if self.attempts else None

    @property
    def worst_note(self) -> Note | None:
        """The note with the worst outcome; None if there is no note."""
        return max(self.notes, key=lambda note: OUTCOMES.index(note.outcome), default=None)

    @property
    def message(self) -> str:
        """The text of the exception, or the reason of the skip, of the worst note."""
        worst = self.worst_note
        return "" if worst is None else worst.message

    @property
    def traceback(self) -> str:
        """The texts of all notes that have one, except the reasons of skips."""
        return "\n".join(note.text for note in self.notes if note.text and note.kind != "addSkip")


def comparable(attempts: Sequence[AttemptReport]) -> list[AttemptReport]:
    """The attempts that were isolated as the last one was: a test that failed beside others is not flaky by itself."""
    return [attempt for attempt in attempts if attempt.isolation == attempts[-1].isolation]


PASSING = ("passed", "expectedFailure")
GOOD = ("passed", "expectedFailure", "skipped")


def worst_outcome(notes: Sequence[Note], *, succeeded: bool) -> str:
    """The outcome of a test with these notes; *succeeded* says whether unittest called ``addSuccess``.

    A test of which nothing was said passed: nothing makes unittest's run fail.
    """
    if not notes:
        return "passed"
    outcomes = [note.outcome for note in notes]
    if succeeded:
        outcomes.append("passed")
    return max(outcomes, key=OUTCOMES.index, default="error")


@record()
class Counts:
    """Counts the outcomes of tests, and of fixtures that failed."""

    by_outcome: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    flaky: int = 0

    def add(self, report: TestReport) -> None:
        """Count one more report."""
        self.by_outcome[report.outcome] += 1
        self.flaky += report.flaky

    @property
    def tests(self) -> int:
        """How many reports there were."""
        return sum(self.by_outcome.values())

    @property
    def passed(self) -> int:
        """How many passed; an expected failure is one of them."""
        return self.by_outcome["passed"] + self.by_outcome["expectedFailure"]

    @property
    def skipped(self) -> int:
        """How many were skipped."""
        return self.by_outcome["skipped"]

    @property
    def failed(self) -> int:
        """How many make the run fail."""
        return self.tests - self.passed - self.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


ImportsKey = tuple[tuple[str, ...], tuple[str, ...]]
"""What is imported once for several modules: the directories to put into ``sys.path``, and the import statements."""


def path_of(home: dict[str, Any] | None) -> tuple[str, ...]:
    """The directories that a home needs in ``sys.path``; a child reported them, so they may be malformed."""
    path = (home or {}).get("path")
    return tuple(map(str, path)) if type(path) is list else ()
