"""Finds out why a test did not end in time: it was stuck or busy, or the machine had no time for it. No I/O, no clock.

A few looks at the test's process, shortly after each other, show what its main thread is doing. The first also shows
for how long, until then, that thread was ready to run and had no processor.
"""

from __future__ import annotations

from collections.abc import Sequence

from isolatedunit.model.records import record
from isolatedunit.model.usage import Condition

LOOKS = 3
"""How often the process is looked at, and its stacks are taken, before it is ended."""

LOOK_INTERVAL = 0.15
"""Seconds between two of these looks."""

STARVED = 0.5
"""Of a test that waited for a processor for this share of the time it is said that it did."""

OVERLOADED = 4.0
"""With so many processes for each processor that want to run, a timeout may be the machine's doing, and says so."""

_IDLE = 0.05
_STOPPED = ("stopped", "tracing-stop")  # psutil's words
_STATES = {
    "stopped": "it was stopped (by SIGSTOP or a similar signal)",
    "disk-sleep": "it was waiting in the kernel for a device or a file system",
    "zombie": "it had ended while other threads kept running",
}


@record()
class Look:
    """One look at the process, at a time of the engine's clock; *load* is as in `Examined`."""

    at: float
    condition: Condition
    load: float = 1.0


def diagnose(looks: Sequence[Look], silent_for: float, interval: float) -> str:
    """What the looks show, in one sentence, or nothing if that is unclear; and whether the machine was overloaded.

    *silent_for* are the seconds since the last heartbeat, and *interval* those between heartbeats.
    """
    if not looks:
        return ""
    why = _diagnose(looks[0], looks[-1], silent_for, interval)
    load = looks[0].load
    if load < OVERLOADED or "overloaded" in why:
        return why
    return f"{why} The machine was overloaded: for each processor, {load:.0f} processes wanted to run.".lstrip()


def _diagnose(first: Look, last: Look, silent_for: float, interval: float) -> str:
    # to take its stacks wakes it up: what it does then says nothing, and it may end before the next look
    if first.condition.state in _STOPPED:
        return f"Its main thread was blocked: {_STATES['stopped']}."
    wall = last.at - first.at
    if wall <= 0:
        return ""
    main = (last.condition.main_cpu - first.condition.main_cpu) / wall
    others = (last.condition.all_cpu - first.condition.all_cpu) / wall - main
    waited = ((last.condition.waited or 0.0) - (first.condition.waited or 0.0)) / wall
    if main < _IDLE and waited < STARVED:
        why = _STATES.get(last.condition.state, "it used no CPU time")
        busy = f", while other threads used {others:.0%} of a processor" if others >= _IDLE else ""
        return f"Its main thread was blocked: {why}{busy}."
    if waited >= STARVED:
        share = min(waited, 1.0)  # the kernel counts in larger steps than this process
        return f"The machine was overloaded: the test's main thread waited for a processor {share:.0%} of the time."
    if silent_for > 2 * interval:
        return (
            f"It was busy and held the interpreter's lock (GIL): its main thread used {main:.0%} of a processor, and "
            f"no heartbeat arrived for {silent_for:.1f} s."
        )
    return f"It was busy: its main thread used {main:.0%} of a processor."


def join_stacks(samples: Sequence[str]) -> str:
    """Stacks that were taken one after the other, as one text, which has them only once if they are all the same."""
    taken = [sample.strip("\n") for sample in samples if sample.strip()]
    if len(taken) < 2:
        return "".join(samples)
    if len(set(taken)) == 1:
        return f"{taken[0]}\n(The same stacks {len(taken)} times, within {LOOK_INTERVAL * len(taken):.2g} s.)\n"
    return "\n\n".join(f"Sample {number} of {len(taken)}:\n{sample}" for number, sample in enumerate(taken, 1)) + "\n"
