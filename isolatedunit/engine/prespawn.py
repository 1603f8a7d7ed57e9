"""Starts processes before there is work for them, but only while processors are idle.

A start takes a processor's time, whoever waits for it. It is free only if nobody else could use that time:
while tests wait for something, or while fewer of them run than there are processors.
"""

from __future__ import annotations

from collections.abc import Callable

from isolatedunit.backends.contract import Prespawns
from isolatedunit.engine.scheduling.idle_forecast import IdleForecast, Idleness
from isolatedunit.model.moments import NEVER
from isolatedunit.system.usage import Processors


class Prespawner:
    """Keeps as many processes waiting as can have work next.

    *look* returns how idle the processors are, None if unknown. *start* begins to start a process, *waiting* returns
    how many are waiting, and *end* ends those.
    """

    def __init__(
        self,
        forecast: IdleForecast,
        look: Callable[[], Idleness | None],
        start: Callable[[], object],
        waiting: Callable[[], int],
        end: Callable[[], object],
    ) -> None:
        self._forecast = forecast
        self._look, self._start, self._waiting, self._end = look, start, waiting, end
        self._is_blind = False

    def turn(self, now: float, running: int, unbegun: int) -> float:
        """Start processes if it pays, with so many tests *running* and *unbegun*; returns when to call this again."""
        waiting = self._waiting()
        missing = min(running, unbegun) - waiting
        if not unbegun and waiting:
            self._end()
        if missing <= 0 or self._is_blind:
            return NEVER
        if now >= self._forecast.next_look:
            idleness = self._look()
            if idleness is None:
                self._is_blind = True
                return NEVER
            for _ in range(self._forecast.judge(now, idleness, missing)):
                self._start()
        return self._forecast.next_look


def prespawner_for(backend: Prespawns, slots: int) -> Prespawner:
    """What keeps processes of *backend* waiting for *slots* tests at a time."""
    processors = Processors()
    share = min(float(slots), processors.count)

    def look() -> Idleness | None:
        idle = processors.idle_time()
        if idle is None:
            return None
        # a run that may use every processor cannot use up its share while any of them is idle
        own = 0.0 if share >= processors.installed else processors.used_by_children(backend.processes())
        return Idleness(idle, own)

    return Prespawner(IdleForecast(share), look, backend.prespawn, lambda: backend.prespawned, backend.end_prespawned)
