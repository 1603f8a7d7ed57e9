"""What is known about tests from earlier runs: plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD, PlannedTest


@record(frozen=True)
class Past:
    """What is known about one test: *duration* in seconds and *peak_rss* in bytes are those of its last run."""

    duration: float
    peak_rss: int | None
    outcome: str
    runs: int
    failures: int

    @property
    def failed(self) -> bool:
        """Whether the test did not pass the last time."""
        return self.outcome not in GOOD


ClassKey = tuple[str, str]
"""A class of tests: unittest's id of it, and what has to be imported for it, as JSON."""

RUNS_TO_SHOW = 3
"""How often the tests of a class have to do the same together as alone, before they may share a process."""


@record(frozen=True)
class ClassPast:
    """What earlier runs have shown about a class whose tests may share a process.

    *verdicts* has what each of its tests comes to alone, by unittest's id, and *runs* is how often they came to the
    same together. *refused*: they did not, or they left something. *reason* says why the class has no standing, and is
    empty if it has. All of that is true as long as *sources*, the project's files that the tests have loaded, do not
    change. *imports* are the modules of the project that the tests themselves import: a shared process imports them
    before the first test. *shared* is in how many runs they have shared a process since.
    """

    verdicts: Mapping[str, str]
    runs: int = 0
    refused: bool = False
    reason: str = ""
    sources: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    shared: int = 0

    @property
    def has_standing(self) -> bool:
        """Whether its tests may share a process."""
        return self.runs >= RUNS_TO_SHOW and not self.refused


def units_above(test: PlannedTest) -> tuple[str, ...]:
    """unittest's ids of what may fail in place of the test: its fixtures, and the import of its module."""
    return (
        f"setUpClass ({test.class_id})",
        f"tearDownClass ({test.class_id})",
        f"setUpModule ({test.module})",
        f"tearDownModule ({test.module})",
        f"unittest.loader._FailedTest.{test.module}",
    )


def failed_last(tests: Sequence[PlannedTest], past: Mapping[str, Past]) -> list[PlannedTest]:
    """The tests that failed the last time they ran, or that could not run then because something else failed."""
    failed = {test_id for test_id, before in past.items() if before.failed}
    return [test for test in tests if test.unique_id in failed or not failed.isdisjoint(units_above(test))]
