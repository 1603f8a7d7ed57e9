"""How long the rest of a run probably takes."""

from __future__ import annotations

from collections.abc import Mapping

from isolatedunit.reporters.timeline import Timeline

_LEAST_KNOWN = 0.5  # the share of tests whose duration must be known for an estimate from past runs


class TimeEstimate:
    """Estimates how long the rest of a run takes, from past runs or else from its own pace."""

    def __init__(self) -> None:
        self._expected: Mapping[str, float] = {}
        self._remaining = 0.0

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Take *seconds*, by the ids of the tests, for what tests of this run take: past runs took that long."""
        self._expected, self._remaining = seconds, sum(seconds.values())

    def finish(self, test_id: str) -> None:
        """Leave out a test that is done."""
        self._remaining -= self._expected.get(test_id, 0.0)

    def seconds_left(self, timeline: Timeline, now: float) -> float | None:
        """The seconds that the rest of the run probably takes, None if nobody can know yet."""
        elapsed, left = now - timeline.began_at, timeline.planned - timeline.done
        if not left or not timeline.planned:
            return 0.0
        if self._expected and len(self._expected) >= timeline.planned * _LEAST_KNOWN:
            total = sum(self._expected.values())
            spent = total - self._remaining
            # as much slower, or faster, than expected as it was so far
            pace = max(elapsed * timeline.jobs / spent, 0.1) if spent > total * 0.05 and timeline.done else 1.0
            return max(self._remaining, 0.0) * pace / timeline.jobs
        return elapsed / timeline.done * left if timeline.done and elapsed > 1.0 else None
