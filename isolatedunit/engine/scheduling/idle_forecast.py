"""Forecasts how many processes are worth starting before there is work for them."""

from __future__ import annotations

from isolatedunit.model.moments import NEVER
from isolatedunit.model.records import record

LOOK_INTERVAL = 0.05
"""Seconds between two looks at how idle the processors are: what the kernel tells of that is coarse."""


LONGEST_PAUSE = 0.8
"""Seconds without a look after one that led to nothing, at most: each such look makes the pause twice as long."""


ENOUGH = 0.75
"""How much of a processor has to be idle; one that has nothing to do now and then is not."""


@record(frozen=True)
class Idleness:
    """Seconds of processors so far: *idle* of all that may be used, *own* those that the run's processes used."""

    idle: float
    own: float = 0.0


class IdleForecast:
    """How many processes to start ahead: no I/O, no clock. *share* is how many processors the run may keep busy."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._seen: tuple[float, Idleness] | None = None
        self._resume_at = -NEVER
        self._pause = LOOK_INTERVAL

    @property
    def next_look(self) -> float:
        """When `judge` is to be asked: two looks, a moment apart, tell what happens now, whatever was before."""
        return self._resume_at if self._seen is None else self._seen[0] + LOOK_INTERVAL

    def judge(self, now: float, idleness: Idleness, missing: int) -> int:
        """How many of the *missing* ones are to be started now."""
        before, self._seen = self._seen, (now, idleness)
        elapsed = 0.0 if before is None else now - before[0]
        if before is None or not 0.0 < elapsed < LOOK_INTERVAL * 3.0:
            return 0  # of so long a time it is only known what was on average
        unused = self._share - (idleness.own - before[1].own) / elapsed
        spare = min((idleness.idle - before[1].idle) / elapsed, unused)
        count = min(missing, int(spare + 1.0 - ENOUGH))
        if count > 0:
            self._pause = LOOK_INTERVAL
            return count
        self._seen, self._resume_at = None, now + self._pause
        self._pause = min(self._pause * 2.0, LONGEST_PAUSE)
        return 0
