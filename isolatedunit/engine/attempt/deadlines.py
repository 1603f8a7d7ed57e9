"""How long a child may take, and what is done when it takes longer: no I/O, no clock.

Times are absolute, in seconds of the engine's clock.
"""

from __future__ import annotations

from isolatedunit.engine.attempt.diagnosis import LOOK_INTERVAL, LOOKS, owed
from isolatedunit.engine.attempt.stimuli import Action, DumpStacks, Examined, Kill, Terminate
from isolatedunit.model.moments import NEVER
from isolatedunit.model.records import record

BEATS_TO_MISS = 5
"""A child that has sent nothing for this many heartbeats is reported as unresponsive."""


MOST_STRETCHES = 3
"""How often what waits for a processor most of the time gets more time, which may double what it has had each time."""


@record()
class Deadlines:
    """The timers of one child."""

    out_of_time: float = NEVER
    slow_at: float = NEVER
    listen_at: float = NEVER
    started_at: float = NEVER
    heard_at: float = NEVER
    beating: bool = False
    reported_silent: bool = False
    stretches_left: int = 0

    @property
    def deadline(self) -> float:
        """The next time at which something has to be done."""
        return min(self.out_of_time, self.slow_at, self.listen_at)

    def begin(
        self, now: float, allowed: float | None, slow_after: float | None, stretches: int = MOST_STRETCHES
    ) -> float:
        """Begin to time something that may take *allowed* seconds, and is slow after *slow_after*; None is no limit.

        Returns the new `deadline`.
        """
        self.started_at = now
        self.out_of_time = NEVER if allowed is None else now + allowed
        self.slow_at = NEVER if slow_after is None else now + slow_after
        self.stretches_left = stretches
        return self.deadline

    def stretch(self, more: float) -> bool:
        """Give what runs *more* seconds; returns False if it has been given more often enough."""
        if self.stretches_left <= 0:
            return False
        self.stretches_left -= 1
        self.out_of_time += more
        return True

    def stretch_for_child(self, examined: Examined, now: float, *, speaks: bool) -> bool:
        """Give a child more time of which nothing was heard yet, if it may have waited for a processor; else False.

        One that *speaks* would have said that it is ready; of any other nothing is heard before its test is over.
        """
        if speaks:  # it may be a process that nobody knows yet
            more = (self.out_of_time - self.started_at) * (examined.load - 1.0)
        else:
            more = owed(examined.condition, now - self.started_at)
        return more > 0 and self.stretch(more)

    @property
    def shown_limit(self) -> float:
        """The seconds that were allowed: one that was stretched has any number of digits."""
        allowed = self.out_of_time - self.started_at
        return round(allowed, 2) or allowed

    def note_sign_of_life(self, now: float) -> None:
        """The child has sent something."""
        self.heard_at = now
        self.reported_silent = False

    def becomes_slow(self, now: float) -> bool:
        """Whether it is time to report that what runs is slow; True only once."""
        if now < self.slow_at:
            return False
        self.slow_at = NEVER
        return True

    def has_to_ask(self, now: float, interval: float) -> bool:
        """Whether it is time to ask the child for a heartbeat, *interval* seconds after it last sent something."""
        if now < self.listen_at:
            return False
        # a child that sends heartbeats by itself gets another interval, since the next one may be just due
        deadlines = interval * (2 if self.beating else 1)
        if now - self.heard_at < deadlines:
            self.listen_at = self.heard_at + deadlines
            return False
        self.listen_at = now + interval
        return True

    def becomes_silent(self, now: float, interval: float) -> bool:
        """Whether it is time to report that the child is silent; True only once while that lasts."""
        if now - self.heard_at < BEATS_TO_MISS * interval or self.reported_silent:
            return False
        self.reported_silent = True
        return True


def or_never(seconds: float | None) -> float:
    """The seconds, or `NEVER` for None."""
    return NEVER if seconds is None else seconds


STACKS_GRACE = 0.3
"""Seconds between the last look at a child's stacks and its end."""


KILL_AGAIN_AFTER = 1.0
"""Seconds between one SIGKILL of a process tree and the next."""


LAST_RUNG: tuple[Action, float] = (Kill(), KILL_AGAIN_AFTER)


GROWS = ("memory", "processes", "output")
"""Causes that get worse with every second of grace, so that the child is killed at once."""


def rungs(cause: str, terminate_grace: float, *, force: bool) -> list[tuple[Action, float]]:
    """The actions that end a child for *cause*, each with the seconds until the next; `LAST_RUNG` follows them."""
    ladder: list[tuple[Action, float]] = []
    if cause == "timeout":
        ladder += [(DumpStacks(), LOOK_INTERVAL)] * (LOOKS - 1)
        ladder.append((DumpStacks(), STACKS_GRACE))
    if cause not in GROWS and not force:
        ladder.append((Terminate(), terminate_grace))
    return ladder
