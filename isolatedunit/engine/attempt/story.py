"""The story of an attempt: the stimuli that led to its state, which an internal error prints. No I/O, no clock.

The idea is that of dask.distributed's worker, whose tasks keep one, too.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from isolatedunit.engine.attempt.stimuli import State
from isolatedunit.protocol.messages import CallNoted, Requested, TestsCollected, ValueReported

LONGEST = 100
"""How many stimuli are kept, the last ones."""

WEIGHTY = frozenset((CallNoted, Requested, TestsCollected, ValueReported))
"""Of these, which may be large, only the names are kept."""

Story = deque[tuple[float, State, Any]]


def begin_story() -> Story:
    """A story without any stimuli; of more than `LONGEST` it forgets the first."""
    return deque(maxlen=LONGEST)


def format_story(story: Story) -> list[str]:
    """The stimuli, a line each, with the seconds since the first."""
    begin = story[0][0] if story else 0.0
    return [f"  {time - begin:9.4f} s  {state.value:11}  {stimulus!r}" for time, state, stimulus in story]
