"""What is known about an attempt, and the conclusion that follows from it: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isolatedunit.engine.attempt.leftovers import Leftovers
from isolatedunit.engine.attempt.stimuli import ChildExited, Conclusion, TestRecord
from isolatedunit.model.results import GOOD, Attachment, ExitStatus, Note, PlannedTest, worst_outcome
from isolatedunit.model.schema import read
from isolatedunit.protocol.messages import CallNoted, ImportStarted, OutcomeNoted, TestEnded, WorkFinished

MAX_NOTES = 20_000
MAX_NOTED = 16 * 1024 * 1024
"""How many notes, and characters in them, a child may send for each of its tests; the runner keeps them in memory."""

MAX_ATTACHED = 128 * 1024 * 1024
"""How many characters of attachments, in base64, a child may send for each of its tests."""

TOO_MUCH_ATTACHED = "The test attached what is no file, or more than can be kept."

_NO_STACKS = (
    "(The process wrote no stacks. It cannot be asked for them if the test has replaced the handlers of all signals.)"
)
_NOT_ENDED = ExitStatus()


class Evidence:
    """What is known about *tests* from their child's reports, and from its end.

    *cause* is why the attempt was ended, if it was: the first cause stays. *current* is what runs:
    the place of a test, or unittest's id of a fixture. A child that runs only a fixture has no tests; `expect` names
    the fixture.
    """

    __slots__ = (
        *("tests", "current", "receipt", "lost_channel", "cause", "cause_text", "status", "stacks", "leftovers"),
        *(
            "returned",
            "saved",
            "raised",
            "session",
            "_records",
            "_fixtures",
            "_last_finished",
            "_only_fixture",
            "_noted",
            "_attached",
        ),
        *("_characters", "importing", "runs_prelude", "_ended_by_itself", "_late"),
    )

    def __init__(self, tests: Sequence[PlannedTest]) -> None:
        self.tests = tests
        self.current: int | str | None = None
        self.importing: str | None = None
        self.runs_prelude = False
        self.receipt: WorkFinished | None = None
        self.lost_channel = False
        self.cause: str | None = None
        self.cause_text = ""
        self.status = _NOT_ENDED
        self.stacks = ""
        self.leftovers = Leftovers()
        self.returned: str | bytes | None = None
        self.saved: int | None = None
        self.raised: str | None = None
        self.session: dict[str, Any] | None = None
        self._records = [TestRecord() for _ in tests]
        self._fixtures: dict[str, list[Note]] = {}
        self._last_finished: int | None = None
        self._only_fixture: str | None = None
        self._noted = self._characters = self._attached = 0
        self._ended_by_itself = False
        self._late = ""

    def expect(self, fixture: str) -> None:
        """The child runs only this fixture."""
        self.current = self._only_fixture = fixture

    @property
    def subject(self) -> str:
        """What the child is for, as the beginning of a sentence; a child without tests and fixture collects tests."""
        if self.runs_prelude:
            return f"preload: {self.importing!r}"
        if self.names:
            return "The test"
        return "The collection of the tests" if self.importing is None else f"The import of {self.importing}"

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of the tests that the child runs, or of its fixture."""
        if self._only_fixture is not None:
            return (self._only_fixture,)
        return tuple(test.id for test in self.tests)

    @property
    def phase(self) -> str:
        """The phase of what runs, by the last report: ``import``, a fixture, or ``test``; ``waiting`` between tests."""
        if isinstance(self.current, str):
            return self.current.partition(" ")[0]  # as in "setUpClass (test_shop.CartTest)"
        if self.current is None:
            return "import" if self._last_finished is None else "waiting"
        return "test"

    def has(self, place: int | None) -> bool:
        """Whether there is a test at this place."""
        return place is not None and 0 <= place < len(self.tests)

    @property
    def next_place(self) -> int:
        """The place of the first test that has not finished."""
        return next((place for place, record in enumerate(self._records) if not record.finished), 0)

    def begin(self, place: int) -> None:
        """The test at this place runs."""
        self.current = place

    def note_import(self, report: ImportStarted) -> None:
        """A module is imported, or a prelude runs."""
        self.importing = report.module or None
        self.runs_prelude = report.is_prelude and self.importing is not None

    def makes_sense(self, report: OutcomeNoted) -> bool:
        """Whether unittest could have noted this, about one of the tests or about a fixture."""
        return report.kind in report.KINDS and (
            self.has(report.test) if report.fixture is None else report.subtest is None
        )

    def note_call(self, report: CallNoted) -> None:
        """Keep what a function that was called has returned or raised, and its session."""
        self.returned = report.pickled or self.returned
        self.saved = self.saved if report.saved is None else report.saved
        self.raised = report.raised or self.raised
        self.session = report.session or self.session

    def note_receipt(self, receipt: WorkFinished) -> None:
        """Keep the receipt: nothing runs any more."""
        self.receipt = receipt
        self.current = None
        if receipt.clean:
            self.leftovers.note_clean(looked=receipt.looked)

    def note(self, report: OutcomeNoted) -> bool:
        """Keep a note about a test or a fixture; returns False if that is more than can be kept."""
        self._noted += 1
        shown = report.expected, report.actual, report.source, report.diff
        self._characters += sum(len(text or "") for text in (report.text, report.message, *shown))
        count = max(1, len(self.tests))
        if self._noted > MAX_NOTES * count or self._characters > MAX_NOTED * count:
            return False
        note = Note(report.kind, report.text, report.message, report.exception, report.subtest, *shown)
        if report.fixture is not None:
            self._fixtures.setdefault(report.fixture, []).append(note)
        elif report.test is not None:
            self._records[report.test].notes.append(note)
        return True

    def attach(self, value: Any) -> bool:
        """Keep an attachment of the test that runs, or runs next; returns False if it is none, or too much to keep."""
        try:
            attachment = read(Attachment, value if type(value) is dict else {})
        except ValueError:
            return False
        self._attached += len(attachment.data) + len(attachment.name)
        if self._attached > MAX_ATTACHED * max(1, len(self.tests)):
            return False
        place = self.current if type(self.current) is int else self.next_place
        if self.has(place):
            self._records[place].attachments.append(attachment)
        return True

    def finish(self, report: TestEnded) -> None:
        """A test ended; its fixtures may still come."""
        record = self._records[report.test]
        record.finished = True
        record.duration = report.duration
        record.counted = report.counted
        record.succeeded = report.succeeded
        record.written = report.written
        record.found = report.found
        self.current = None
        self._last_finished = report.test

    def blame(self, cause: str, text: str) -> None:
        """The attempt is ended for this cause, unless there was another cause before."""
        if self.cause is None:
            self.cause, self.cause_text = cause, text

    def note_late(self, text: str) -> None:
        """The child was ready only when it was being terminated: *text* is why it ends, unless it comes to its end."""
        self.cause, self.cause_text, self._late = None, "", text

    def note_end(self, exited: ChildExited, *, by_itself: bool = False) -> None:
        """The child is gone, *by_itself* if nobody ended it; what it left running was ended."""
        if self._late and self.receipt is None:
            self.blame("spawn", self._late)
        self._ended_by_itself = by_itself and not self._late
        self.status, self.stacks = exited.status, exited.stacks
        self.leftovers.note_end(exited.status)

    def conclude(self, cpu_limit: float | None, lasted: float = 0.0, *, failfast: bool = False) -> Conclusion:
        """What became of each test. Without a receipt, one of them is charged with the child's end.

        The child *lasted* so many seconds after it was ready; a test that did not come to its own end took all of that
        except the durations of those before it. A child may claim that ``shouldStop`` ended it before its last test:
        only with *failfast*, when the whole run stops, too, do those after it not run.
        """
        conclusion = Conclusion(fixtures={fixture: (notes, None) for fixture, notes in self._fixtures.items()})
        charged = None if self.receipt is not None else self._charge(conclusion, cpu_limit)
        if charged is not None and not self._records[charged].finished:
            self._records[charged].duration = max(0.0, lasted - sum(record.duration for record in self._records))
        if self.receipt is not None and len(self.tests) == 1:
            self._note_overuse(self._records[0], cpu_limit)
        self._judge_end()
        for place, (test, record) in enumerate(zip(self.tests, self._records, strict=True)):
            if record.finished or place == charged:
                if self.lost_channel:
                    record.cause = record.cause or "ipc"
                conclusion.settled.append((test, record))
            elif self.receipt is None:
                (conclusion.covered if _is_covered(test, conclusion) else conclusion.remaining).append(test)
            else:
                self._sort_unfinished(test, record, self.receipt, conclusion, failfast=failfast)
        return conclusion

    def _sort_unfinished(
        self, test: PlannedTest, record: TestRecord, receipt: WorkFinished, conclusion: Conclusion, *, failfast: bool
    ) -> None:
        """Sort a test that did not finish although its child gave a receipt."""
        if receipt.stopped and failfast and self._is_bad:
            conclusion.stopped.append(test)
        elif _is_covered(test, conclusion):
            conclusion.covered.append(test)
        elif (receipt.interrupted or receipt.stopped) and self._last_finished is not None:
            conclusion.remaining.append(test)  # with one test less each time
        else:
            text = "unittest ran the suite that contains this test but reported nothing about the test."
            record.notes.append(Note("addError", f"{text}\n", text))
            conclusion.settled.append((test, record))

    @property
    def _is_bad(self) -> bool:
        notes = [note for record in self._records for note in record.notes]
        notes += [note for kept in self._fixtures.values() for note in kept]
        return any(note.outcome not in GOOD for note in notes)

    def _charge(self, conclusion: Conclusion, cpu_limit: float | None) -> int | None:
        """The place of the test whose fault the end without a receipt is; None if it was a fixture's."""
        if self.cause is None:
            self._explain_end(cpu_limit)
        fixture = self.current if isinstance(self.current, str) else None
        text = self.cause_text if fixture is None else f"{self.cause_text} It happened in {fixture}."
        stacks = self.stacks.rstrip() or (_NO_STACKS if self.cause == "timeout" else "")
        stacks = f"\n\n{stacks}" if stacks else ""
        note = Note("addError", f"{text}{stacks}\n", text)
        # a fixture that none of the tests needs must not keep them from running: they would be tried for ever
        is_needed = fixture is not None and any(_needs(test, fixture) for test in self.tests)
        if fixture is not None and (is_needed or self._only_fixture is not None):
            notes, _ = conclusion.fixtures.get(fixture, ([], None))
            conclusion.fixtures[fixture] = ([*notes, note], self.cause)
            return None
        if not self.tests:
            return None
        place = self.current if isinstance(self.current, int) else self._last_finished
        if place is None:
            place = self.next_place
        record = self._records[place]
        record.notes.append(note)
        record.cause = self.cause
        return place

    def _note_overuse(self, record: TestRecord, cpu_limit: float | None) -> None:
        """Charge the test with the CPU time of all its processes: the kernel limits only that of each one by itself."""
        used = self.status.cpu_time or 0.0
        if cpu_limit is not None and used > cpu_limit:
            self.blame("cpu", f"The test used {used:.1f} s of CPU time; the limit is {cpu_limit:g} s.")
            record.notes.append(Note("addError", f"{self.cause_text}\n", self.cause_text))
            record.cause = record.cause or self.cause

    def _judge_end(self) -> None:
        """Charge the last test with the end of its process, if that was not the child's own: it exits with 0."""
        is_well = not self.status.exit_code and self.status.signal is None
        if self.receipt is None or not self._ended_by_itself or is_well:
            return
        if self.cause is not None or self._last_finished is None:
            return
        record = self._records[self._last_finished]
        outcome = worst_outcome(record.notes, succeeded=record.succeeded)
        if outcome in GOOD:
            how = "passed" if outcome == "passed" else "finished"
            self.blame("crash", f"The test's process {self.status} after its test had {how}.")
            stacks = f"\n\n{self.stacks.rstrip()}" if self.stacks else ""
            record.notes.append(Note("addError", f"{self.cause_text}{stacks}\n", self.cause_text))
            record.cause = record.cause or self.cause

    def _explain_end(self, cpu_limit: float | None) -> None:
        # the kernel sends SIGXCPU at the limit, and SIGKILL a second later to a process that handles it
        used = self.status.cpu_time or 0.0
        if cpu_limit is not None and (self.status.signal == "SIGXCPU" or used >= cpu_limit):
            self.blame("cpu", f"{self.subject} used more CPU time than its limit of {cpu_limit:g} s.")
        elif self.runs_prelude:
            self.blame("crash", f"{self.subject}: the process {self.status} before it had finished.")
        elif self.names:
            self.blame("crash", f"The test's process {self.status} before the test finished.")
        else:
            self.blame("crash", f"The process that collects the tests {self.status} before it finished.")


def _is_covered(test: PlannedTest, conclusion: Conclusion) -> bool:
    """Whether a fixture failed that the test needs, so that unittest would not run it either."""
    return any(_needs(test, fixture) for fixture in conclusion.fixtures)


def _needs(test: PlannedTest, fixture: str) -> bool:
    return fixture in (f"setUpClass ({test.class_id})", f"setUpModule ({test.module})")
