"""Excuses failures of tests in quarantine, and complains about entries that have had their time: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from isolatedunit.model.results import GOOD, Note, PlannedTest, TestReport, worst_outcome

if TYPE_CHECKING:
    from isolatedunit.config.quarantine import Entry


_LAST = float(2**52)
"""A place after those of all tests."""


class Quarantine:
    """The tests whose failures do not fail a run, as the option says."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [entry for entry in entries if not entry.is_over]

    def excuse(
        self, tests: Iterable[PlannedTest], notes: Sequence[Note], *, succeeded: bool
    ) -> tuple[str | None, tuple[Note, ...]]:
        """Why a failure with these notes, of the tests or of what they need, does not count, and its notes.

        The first is None if it counts, or is none. For it not to count, all of the tests have to be in quarantine.
        """
        if worst_outcome(notes, succeeded=succeeded) in GOOD:
            return None, tuple(notes)
        reason = None
        for test in tests:
            reason = next((entry.why for entry in self._entries if entry.matches(test.id)), None)
            if reason is None:
                return None, tuple(notes)
        return reason, (_as_expected(notes),)


def _as_expected(notes: Sequence[Note]) -> Note:
    """One note for all of *notes*, as of a failure that was expected."""
    texts = [note.text for note in notes if note.text and note.kind != "addSkip"]
    message = next((note.message for note in notes if note.outcome not in GOOD), "")
    exception = next((note.exception for note in notes if note.exception), None)
    return Note("addExpectedFailure", "\n".join(texts), message or "Unexpected success", exception)


def complain(entries: Sequence[Entry], tests: Sequence[PlannedTest], *, scope: str) -> list[TestReport]:
    """A report, which fails the run, for each entry whose time is over or which matches no test.

    With the *scope* ``all``, the tests are all that there are; with ``modules``, all of their modules; with ``tests``
    they are some, so that nobody knows what an entry may match.
    """
    complaints = []
    for entry in entries:
        if entry.is_over:
            complaints.append(_complaint(entry, f"ended on {entry.until}; mend the tests, or set another day"))
        elif not any(entry.matches(test.id) for test in tests) and _would_be_among(tests, entry, scope):
            complaints.append(_complaint(entry, "matches no test; correct it, or remove it"))
    return complaints


def _would_be_among(tests: Sequence[PlannedTest], entry: Entry, scope: str) -> bool:
    """Whether tests that an entry matches, if there were any, would be among these."""
    if scope != "modules":
        return scope == "all"
    modules = {f"{test.module}." for test in tests}
    begins = [re.split(r"[*?\[]", pattern, maxsplit=1)[0] for pattern in entry.patterns]
    return any(begin.startswith(module) for begin in begins for module in modules)


def _complaint(entry: Entry, what: str) -> TestReport:
    text = f"The quarantine of {entry} ({entry.reason}) {what}."
    note = Note("addError", f"{text}\n", text)
    return TestReport(f"quarantine ({entry})", "error", "quarantine", notes=(note,), counted=False, place=_LAST)
