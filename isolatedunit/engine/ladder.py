"""How a child is ended: rungs that are climbed one after the other while it is still there. No I/O, no clock."""

from __future__ import annotations

from isolatedunit.engine.diagnosis import LOOK_INTERVAL, LOOKS
from isolatedunit.engine.stimuli import Action, DumpStacks, Kill, Terminate

STACKS_GRACE = 0.3
"""Seconds between the last look at a child's stacks and ending it."""

KILL_AGAIN_AFTER = 1.0
"""Seconds between one SIGKILL of a process tree and the next."""

LAST_RUNG: tuple[Action, float] = (Kill(), KILL_AGAIN_AFTER)

GROWS = ("memory", "processes", "output")
"""Causes of what grows while it is given time."""


def rungs(cause: str, terminate_grace: float, *, force: bool) -> list[tuple[Action, float]]:
    """What is tried for a child that is ended for *cause*, each with the seconds it gets, before `LAST_RUNG`."""
    ladder: list[tuple[Action, float]] = []
    if cause == "timeout":
        ladder += [(DumpStacks(), LOOK_INTERVAL)] * (LOOKS - 1)
        ladder.append((DumpStacks(), STACKS_GRACE))
    if cause not in GROWS and not force:
        ladder.append((Terminate(), terminate_grace))
    return ladder
