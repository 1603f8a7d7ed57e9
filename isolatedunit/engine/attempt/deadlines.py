"""How long a child may take, and what is done when it takes longer: no I/O, no clock.

Times are absolute, in seconds of the engine's clock.
"""

from __future__ import annotations

from isolatedunit.engine.attempt.diagnosis import LOOK_INTERVAL, LOOKS
from isolatedunit.engine.attempt.stimuli import Action, DumpStacks, Examined, Kill, Terminate
from isolatedunit.model.moments import NEVER
from isolatedunit.model.records import record
from isolatedunit.model.usage import Condition

BEATS_TO_MISS = 5
"""A child that has sent nothing for this many heartbeats is reported as unresponsive."""


ENOUGH = 0.95
"""What has run for this share of its time, not counting those seconds in which it waited for a processor, is over."""

MOST_TIMES = 100.0
"""What hardly ever gets a processor is ended after so many times its time: every wait has an end."""


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
    allowed: float = NEVER
    waited: float = 0.0
    is_prolonged: bool = False
    may_start_late: bool = False
    _seen: Condition | None = None
    _is_doubtful: bool = False

    @property
    def deadline(self) -> float:
        """The next time at which something has to be done."""
        return min(self.out_of_time, self.slow_at, self.listen_at)

    def begin(
        self, now: float, allowed: float | None, slow_after: float | None, *, may_start_late: bool = False
    ) -> float:
        """Begin to time something that may take *allowed* seconds, and is slow after *slow_after*; None is no limit.

        Returns the new `deadline`.
        """
        self.started_at = now
        self.allowed = NEVER if allowed is None else allowed
        self.out_of_time = now + self.allowed
        self.slow_at = NEVER if slow_after is None else now + slow_after
        self.waited = 0.0
        self.is_prolonged = self._is_doubtful = False
        self.may_start_late = may_start_late
        self._seen = None
        return self.deadline

    def prolong(self, examined: Examined, now: float, born_at: float) -> bool:
        """Give what runs the time in which it waited for a processor in addition; False if it has had all of its time.

        Its process has run since *born_at*. The condition that is *examined* says how long it waited, but counts a wait
        only when that is over: what is ready to run is looked at again shortly.
        """
        condition, elapsed = examined.condition, now - self.started_at
        if condition is None or elapsed >= MOST_TIMES * self.allowed:
            return False
        seen, self._seen = self._seen, condition
        if seen is None:  # what waited before this began is not known: it counts as if it had always been the same
            self.waited = condition.longest_wait * min(1.0, elapsed / max(now - born_at, elapsed))
        else:
            self.waited += max(0.0, condition.longest_wait - seen.longest_wait)
        self.waited = min(self.waited, elapsed)
        more = self.allowed - (elapsed - self.waited)
        if more > (1.0 - ENOUGH) * self.allowed:
            self.is_prolonged, self._is_doubtful = True, False
        elif examined.load <= 1.0 or condition.state != "running":
            return False
        elif seen is None or (seen.main_cpu, seen.waited) != (condition.main_cpu, condition.waited):
            if self._is_doubtful:  # it was given a moment, and used it
                return False
            self._is_doubtful = True
        self.out_of_time = now + max(more, LOOK_INTERVAL)
        return True

    def prolong_start(self, load: float) -> bool:
        """Give a child more time that has not said yet that it is ready; once, and the more the busier the machine."""
        if load <= 1.0 or not self.may_start_late:
            return False
        self.may_start_late = False
        self.out_of_time += self.allowed * (load - 1.0)
        return True

    @property
    def shown_limit(self) -> float:
        """The seconds until `out_of_time`: where that was put off they have any number of digits."""
        allowed = self.out_of_time - self.started_at
        return round(allowed, 2) or allowed

    @property
    def described(self) -> str:
        """What was allowed, in words."""
        waits = f", besides {self.waited:.1f} s in which it waited for a processor" if self.is_prolonged else ""
        return f"{self.allowed:g} s{waits}"

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
