"""When processes are started before there is work for them: while processors are idle, and not else.

A start costs a processor's time, whoever waits for it. It is free only where nobody else could use that time:
where tests wait for something, or where fewer of them run than there are processors.
"""

from __future__ import annotations

from collections.abc import Callable

from isolatedunit.backends import Backend
from isolatedunit.records import record
from isolatedunit.vitals import Processors

NEVER = float("inf")

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


class Foresight:
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


class Ahead:
    """Keeps as many processes waiting as can have work next. *look* tells how idle the processors are, None if unknown.

    *start* begins to make one, *waiting* tells how many wait, *end* ends these.
    """

    def __init__(
        self,
        foresight: Foresight,
        look: Callable[[], Idleness | None],
        start: Callable[[], object],
        waiting: Callable[[], int],
        end: Callable[[], object],
    ) -> None:
        self._foresight = foresight
        self._look, self._start, self._waiting, self._end = look, start, waiting, end
        self._is_blind = False

    def turn(self, now: float, running: int, unbegun: int) -> float:
        """Start some, if it pays, with so many tests *running* and *unbegun*; gives when to be called again."""
        waiting = self._waiting()
        missing = min(running, unbegun) - waiting
        if not unbegun and waiting:
            self._end()
        if missing <= 0 or self._is_blind:
            return NEVER
        if now >= self._foresight.next_look:
            idleness = self._look()
            if idleness is None:
                self._is_blind = True
                return NEVER
            for _ in range(self._foresight.judge(now, idleness, missing)):
                self._start()
        return self._foresight.next_look


def start_ahead_with(backend: Backend, slots: int) -> Ahead:
    """What keeps processes of *backend* waiting for *slots* tests at a time."""
    processors = Processors()
    share = min(float(slots), processors.count)

    def look() -> Idleness | None:
        idle = processors.idle_time()
        if idle is None:
            return None
        # where the run may use all of them, nobody idles at its expense
        own = 0.0 if share >= processors.installed else processors.used_by_children(backend.processes())
        return Idleness(idle, own)

    return Ahead(Foresight(share), look, backend.start_ahead, lambda: backend.waiting, backend.end_waiting)
