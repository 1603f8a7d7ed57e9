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
