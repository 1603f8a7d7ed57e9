"""How long the rest of a run probably takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isolatedunit.reporters.timeline import Timeline

_LEAST_KNOWN = 0.5  # the share of tests whose duration must be known for an estimate from past runs


class TimeEstimate:
    """Estimates how long the rest of a run takes, from past runs or else from its own pace."""

    def __init__(self) -> None:
        self._expected: Mapping[str, float] = {}
        self._groups: Mapping[str, str] = {}
        self._in_all = self._remaining = Load([])

    def expect(self, seconds: Mapping[str, float], groups: Mapping[str, str] | None = None) -> None:
        """Take *seconds*, by the ids of the tests, for what tests of this run take: past runs took that long.

        *groups* has the group of each test, whose tests run one after another.
        """
        self._expected, self._groups = seconds, groups or {}
        loads = [(self._groups.get(test_id), taken) for test_id, taken in seconds.items()]
        self._in_all, self._remaining = Load(loads), Load(loads)

    def finish(self, test_id: str) -> None:
        """Leave out a test that is done."""
        self._remaining.add(self._groups.get(test_id), -self._expected.get(test_id, 0.0))

    def seconds_left(self, timeline: Timeline, now: float) -> float | None:
        """The seconds that the rest of the run probably takes, None if nobody can know yet."""
        elapsed, left = now - timeline.began_at, timeline.planned - timeline.done
        if not left or not timeline.planned:
            return 0.0
        if self._expected and len(self._expected) >= timeline.planned * _LEAST_KNOWN:
            total, remaining = self._in_all.seconds(timeline.jobs), self._remaining.seconds(timeline.jobs)
            # as much slower, or faster, than expected as it was so far
            is_telling = timeline.done and total - remaining > total * 0.05
            return remaining * (max(elapsed / (total - remaining), 0.1) if is_telling else 1.0)
        return elapsed / timeline.done * left if timeline.done and elapsed > 1.0 else None


class Load:
    """What tests take: each with the group of tests that run one after another, if it is in one, and its seconds."""

    def __init__(self, tests: Iterable[tuple[str | None, float]]) -> None:
        self._sum = 0.0
        self._groups: dict[str, float] = {}
        for group, seconds in tests:
            self.add(group, seconds)

    def add(self, group: str | None, seconds: float) -> None:
        """Count a test; *seconds* below 0 are those of one that no longer counts."""
        self._sum += seconds
        if group is not None:
            self._groups[group] = self._groups.get(group, 0.0) + seconds

    def seconds(self, jobs: int) -> float:
        """The least that *jobs* processes take for it; more than one cannot help with a single group."""
        return max(self._sum / jobs, 0.0, *self._groups.values())
