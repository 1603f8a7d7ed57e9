"""Forecasts how many processes are worth starting before there is work for them: no I/O, no clock."""

from __future__ import annotations

from isolatedunit.model.moments import NEVER
from isolatedunit.model.records import record

LOOK_INTERVAL = 0.05
"""Seconds between two looks at how idle the processors are; the kernel's figures are too coarse for shorter times."""


LONGEST_PAUSE = 0.8
"""The longest pause, in seconds, after looks that led to nothing; each of them doubles the pause."""


ENOUGH = 0.75
"""The share of a processor that has to be idle: every processor has nothing to do now and then."""


@record(frozen=True)
class Idleness:
    """Processor seconds so far: *idle* ones of all usable processors, and *own*, which the run's processes used."""

    idle: float
    own: float = 0.0


class IdleForecast:
    """Judges how many processes to start ahead. *share* is how many processors the run may keep busy."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._seen: tuple[float, Idleness] | None = None
        self._resume_at = -NEVER
        self._pause = LOOK_INTERVAL

    @property
    def next_look(self) -> float:
        """When `judge` needs the next look: two looks, a moment apart, show what happens now, whatever was before."""
        return self._resume_at if self._seen is None else self._seen[0] + LOOK_INTERVAL

    def judge(self, now: float, idleness: Idleness, missing: int) -> int:
        """How many of the *missing* processes to start now."""
        before, self._seen = self._seen, (now, idleness)
        elapsed = 0.0 if before is None else now - before[0]
        if before is None or not 0.0 < elapsed < LOOK_INTERVAL * 3.0:
            return 0  # over so long a time, only the average would be known
        unused = self._share - (idleness.own - before[1].own) / elapsed
        spare = min((idleness.idle - before[1].idle) / elapsed, unused)
        count = min(missing, int(spare + 1.0 - ENOUGH))
        if count > 0:
            self._pause = LOOK_INTERVAL
            return count
        self._seen, self._resume_at = None, now + self._pause
        self._pause = min(self._pause * 2.0, LONGEST_PAUSE)
        return 0
