"""What is known about an attempt, and the conclusion that it allows. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isolatedunit.engine.attempt.stimuli import ChildExited, Conclusion, TestRecord
from isolatedunit.model.results import GOOD, ExitStatus, Note, PlannedTest
from isolatedunit.protocol.messages import OutcomeNoted, TestEnded, WorkFinished

MAX_NOTES = 20_000
MAX_NOTED = 16 * 1024 * 1024
"""How many notes, and characters in them, a child may send for each of its tests: the runner has to keep them."""

_NOT_ENDED = ExitStatus()


class Evidence:
    """What a child's reports, and its end, tell about its *tests*.

    *cause* is why the attempt was ended, if it was: the first cause stays. *current* is what runs:
    the place of a test, or unittest's id of a fixture. Where a fixture is all that the child is to
    run, there are no tests, and `expect` says which.
    """

    __slots__ = (
        *("tests", "current", "receipt", "lost_channel", "cause", "cause_text", "status", "stacks", "handle_stats"),
        *("returned", "session", "_records", "_fixtures", "_last_finished", "_only_fixture", "_noted", "_characters"),
    )

    def __init__(self, tests: Sequence[PlannedTest]) -> None:
        self.tests = tests
        self.current: int | str | None = None
        self.receipt: WorkFinished | None = None
        self.lost_channel = False
        self.cause: str | None = None
        self.cause_text = ""
        self.status = _NOT_ENDED
        self.stacks = ""
        self.handle_stats: dict[str, Any] = {}
        self.returned: str | None = None
        self.session: dict[str, Any] | None = None
        self._records = [TestRecord() for _ in tests]
        self._fixtures: dict[str, list[Note]] = {}
        self._last_finished: int | None = None
        self._only_fixture: str | None = None
        self._noted = self._characters = 0

    def expect(self, fixture: str) -> None:
        """This fixture is all that the child is to run."""
        self.current = self._only_fixture = fixture

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of what the child is to run."""
        if self._only_fixture is not None:
            return (self._only_fixture,)
        return tuple(test.id for test in self.tests)

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

    def makes_sense(self, report: OutcomeNoted) -> bool:
        """Whether unittest could have told this, of a test that there is or of a fixture."""
        return report.kind in report.KINDS and (
            self.has(report.test) if report.fixture is None else report.subtest is None
        )

    def note(self, report: OutcomeNoted) -> bool:
        """unittest told something about a test or a fixture; False where that is more than can be kept."""
        self._noted += 1
        self._characters += len(report.text) + len(report.message)
        count = max(1, len(self.tests))
        if self._noted > MAX_NOTES * count or self._characters > MAX_NOTED * count:
            return False
        note = Note(report.kind, report.text, report.message, report.exception, report.subtest)
        if report.fixture is not None:
            self._fixtures.setdefault(report.fixture, []).append(note)
        elif report.test is not None:
            self._records[report.test].notes.append(note)
        return True

    def finish(self, report: TestEnded) -> None:
        """A test ended; its fixtures may still come."""
        record = self._records[report.test]
        record.finished = True
        record.duration = report.duration
        record.counted = report.counted
        record.succeeded = report.succeeded
        record.written = report.written
        self.current = None
        self._last_finished = report.test

    def blame(self, cause: str, text: str) -> None:
        """The attempt is ended because of this, unless there was another cause before."""
        if self.cause is None:
            self.cause, self.cause_text = cause, text

    def note_end(self, exited: ChildExited) -> None:
        """The child is gone; what it left running was ended."""
        self.status, self.stacks = exited.status, exited.stacks
        if not exited.status.leftovers:
            return
        told = {leak["identity"] for leak in self.handle_stats.get("leaks", ())}
        left = [_describe(one) for one in exited.status.leftovers]
        self.add_leaks([{"kind": "process", "identity": one} for one in left if one not in told])

    def take_handle_stats(self, stats: dict[str, Any]) -> None:
        """What the child told of its handles, without leaks that make no sense: it may tell anything."""
        self.handle_stats = {name: stats[name] for name, kind in _STATS.items() if type(stats.get(name)) is kind}
        for name in ("leaks", "state_changes"):
            if name in self.handle_stats:
                self.handle_stats[name] = [one for one in self.handle_stats[name] if _has_texts(one)]
        if stats:
            leaks = [leak for leak in self.handle_stats.pop("leaks", ()) if "kind" in leak and "identity" in leak]
            self.handle_stats |= {"leaked": 0, "by_kind": {}, "leaks": []}
            self.add_leaks(leaks)

    def add_leaks(self, leaks: Sequence[dict[str, Any]]) -> None:
        """Something was left behind."""
        if not leaks:
            return
        by_kind = dict(self.handle_stats.get("by_kind", {}))
        for leak in leaks:
            by_kind[leak["kind"]] = by_kind.get(leak["kind"], 0) + 1
        everything = [*self.handle_stats.get("leaks", []), *leaks]
        self.handle_stats = {**self.handle_stats, "leaked": len(everything), "by_kind": by_kind, "leaks": everything}

    def allow_leaks(self, allowed: Sequence[dict[str, Any]]) -> None:
        """These of the leaks are no matter; each has the reason for that."""
        if not allowed:
            return
        pardoned = [{name: value for name, value in leak.items() if name != "reason"} for leak in allowed]
        left = [leak for leak in self.handle_stats.get("leaks", ()) if leak not in pardoned]
        self.handle_stats = {**self.handle_stats, "leaked": 0, "by_kind": {}, "leaks": [], "allowed": list(allowed)}
        self.add_leaks(left)

    def conclude(self, cpu_limit: float | None, lasted: float = 0.0, *, failfast: bool = False) -> Conclusion:
        """What came of each test. Without a receipt somebody is charged with the child's end.

        The child *lasted* so many seconds from when it was ready. A test that did not come to its own end took what
        those before it have left of that.
        That it stopped before the last test is believed with *failfast*: then the run stops, too.
        """
        conclusion = Conclusion(fixtures={fixture: (notes, None) for fixture, notes in self._fixtures.items()})
        charged = None if self.receipt is not None else self._charge(conclusion, cpu_limit)
        if charged is not None and not self._records[charged].finished:
            self._records[charged].duration = max(0.0, lasted - sum(record.duration for record in self._records))
        if self.receipt is not None and len(self.tests) == 1:
            self._note_overuse(self._records[0], cpu_limit)
        for place, (test, record) in enumerate(zip(self.tests, self._records, strict=True)):
            if record.finished or place == charged:
                if self.lost_channel:
                    record.cause = record.cause or "ipc"
                conclusion.settled.append((test, record))
            elif self.receipt is not None and self.receipt.stopped and failfast and self._is_bad:
                conclusion.stopped.append(test)
            elif _is_covered(test, conclusion):
                conclusion.covered.append(test)
            elif self.receipt is not None:
                text = "unittest ran the suite that contains this test but reported nothing about the test."
                record.notes.append(Note("addError", f"{text}\n", text))
                conclusion.settled.append((test, record))
            else:
                conclusion.remaining.append(test)
        return conclusion

    @property
    def _is_bad(self) -> bool:
        notes = [note for record in self._records for note in record.notes]
        notes += [note for kept in self._fixtures.values() for note in kept]
        return any(note.outcome not in GOOD for note in notes)

    def _charge(self, conclusion: Conclusion, cpu_limit: float | None) -> int | None:
        """Whose fault the end without a receipt is: the test's at this place; None for a fixture's."""
        if self.cause is None:
            self._explain_end(cpu_limit)
        fixture = self.current if isinstance(self.current, str) else None
        text = self.cause_text if fixture is None else f"{self.cause_text} It happened in {fixture}."
        stacks = f"\n\n{self.stacks.rstrip()}" if self.stacks else ""
        note = Note("addError", f"{text}{stacks}\n", text)
        # one that none of the tests needs is no reason not to run them: they would be tried for ever
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
        """The kernel holds each process to the limit by itself; here is what the test's all used that it waited for."""
        used = self.status.cpu_time or 0.0
        if cpu_limit is not None and used > cpu_limit:
            self.blame("cpu", f"The test used {used:.1f} s of CPU time; the limit is {cpu_limit:g} s.")
            record.notes.append(Note("addError", f"{self.cause_text}\n", self.cause_text))
            record.cause = record.cause or self.cause

    def _explain_end(self, cpu_limit: float | None) -> None:
        # the kernel sends SIGXCPU at the limit, and SIGKILL to who has a handler for that
        used = self.status.cpu_time or 0.0
        if cpu_limit is not None and (self.status.signal == "SIGXCPU" or used >= cpu_limit):
            self.blame("cpu", f"The test used more CPU time than its limit of {cpu_limit:g} s.")
        else:
            self.blame("crash", f"The test's process {self.status} before the test finished.")


def _describe(leftover: dict[str, Any]) -> str:
    process_id, command = leftover.get("pid"), leftover.get("command") or "?"
    return str(command) if process_id is None else f"{command} (process {process_id})"


_COUNTS = ("opened", "closed", "leaked", "cleaned", "forced")
_STATS: dict[str, type] = {**dict.fromkeys(_COUNTS, int), "leaks": list, "state_changes": list, "incomplete": str}
"""What a child may tell of its handles; ``by_kind`` follows from the leaks."""


def _has_texts(told: Any) -> bool:
    return type(told) is dict and all(type(text) is str for text in told.values())


def _is_covered(test: PlannedTest, conclusion: Conclusion) -> bool:
    """Whether a fixture failed that the test needs, so that unittest would not run it either."""
    return any(_needs(test, fixture) for fixture in conclusion.fixtures)


def _needs(test: PlannedTest, fixture: str) -> bool:
    return fixture in (f"setUpClass ({test.class_id})", f"setUpModule ({test.module})")
