"""The story of an attempt: the stimuli that led to its state, which an internal error prints. No I/O, no clock.

The idea is that of dask.distributed's worker, whose tasks keep one, too.
"""

from __future__ import annotations

from typing import Any

from isolatedunit.engine.attempt.stimuli import State, Stimulus
from isolatedunit.protocol.messages import CallNoted, Requested, TestsCollected, ValueReported

LONGEST = 100
"""How many stimuli are kept, the last ones."""

_WEIGHTY = frozenset((CallNoted, Requested, TestsCollected, ValueReported))
"""Of these, which may be large, only the names are kept."""

Story = list[tuple[float, State, Any]]


def note(story: Story, now: float, state: State, stimulus: Stimulus) -> None:
    """Add what an attempt in this *state* was told."""
    kind = type(stimulus)
    story.append((now, state, kind if kind in _WEIGHTY else stimulus))
    if len(story) > LONGEST:
        del story[: LONGEST // 2]


def format_story(story: Story) -> list[str]:
    """The stimuli, a line each, with the seconds since the first."""
    begin = story[0][0] if story else 0.0
    return [f"  {time - begin:9.4f} s  {state.value:11}  {stimulus!r}" for time, state, stimulus in story]
