"""What earlier runs say about a test, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD, PlannedTest


@record(frozen=True)
class Past:
    """What is known of one test."""

    duration: float
    peak_rss: int | None
    outcome: str
    runs: int
    failures: int

    @property
    def failed(self) -> bool:
        """Whether it did not come out well the last time."""
        return self.outcome not in GOOD


def units_above(test: PlannedTest) -> tuple[str, ...]:
    """unittest's ids of all that may have failed in place of the test: fixtures, and the import of its module."""
    return (
        f"setUpClass ({test.class_id})",
        f"tearDownClass ({test.class_id})",
        f"setUpModule ({test.module})",
        f"tearDownModule ({test.module})",
        f"unittest.loader._FailedTest.{test.module}",
    )


def failed_last(tests: Sequence[PlannedTest], past: Mapping[str, Past]) -> list[PlannedTest]:
    """Those of the tests that failed the last time that they ran, or could not be run since something else failed."""
    failed = {test_id for test_id, before in past.items() if before.failed}
    return [test for test in tests if test.id in failed or not failed.isdisjoint(units_above(test))]
