"""Whether a test's process grows: by more than it may, or a little each time that the test runs.

The second is how CPython's regrtest hunts for leaks of references (its ``-R``): what a test
allocates and gives back is gone after each run; what grows every time is kept by somebody.
"""

from __future__ import annotations

import gc
import os
import sys
from array import array
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WARM_UPS = 3
"""Runs before the first that counts: caches fill, modules are imported."""

NOISE = 1
"""An interpreter's free lists make so much of a difference from one run to the next, now up and now down."""

SECOND_LOOKS = 2
"""How often growth is looked at again that could be noise: a real one is there each time."""

_WORDS = {"blocks": "memory blocks", "references": "references", "descriptors": "open descriptors"}


def hunt(run_once: Callable[[], None], times: int) -> list[dict[str, Any]]:
    """Run something *times* times, and tell what grew steadily: as leaks of the kind ``growth``."""
    for _ in range(WARM_UPS - 1):
        run_once()
    grown = _grown(run_once, times)
    for _ in range(SECOND_LOOKS):
        doubtful = [name for name, deltas in grown.items() if min(deltas) <= NOISE]
        if doubtful:
            again = _grown(run_once, times)
            grown = {name: deltas for name, deltas in grown.items() if name not in doubtful or name in again}
    return [
        {"kind": "growth", "identity": f"{_WORDS[name]} grew by {_told(deltas)} in {times} runs"}
        for name, deltas in grown.items()
    ]


def _grown(run_once: Callable[[], None], times: int) -> dict[str, list[int]]:
    """What grows in each of *times* runs, and by how much; one run goes before them."""
    # room for all that is measured is made beforehand: what is kept of it must not be what grows
    kept = {name: array("q", bytes(8 * (times + 1))) for name in _measure()}
    for run in range(times + 1):
        run_once()
        for name, value in _measure().items():
            kept[name][run] = value
    growth = {name: [after - before for before, after in pairwise(all_)] for name, all_ in kept.items()}
    return {name: deltas for name, deltas in growth.items() if all(delta > 0 for delta in deltas)}


def _told(deltas: list[int]) -> str:
    return ", ".join(map(str, deltas))


def _measure() -> dict[str, int]:
    gc.collect()
    measured = {"blocks": sys.getallocatedblocks()}
    if hasattr(sys, "gettotalrefcount"):  # debug builds only
        measured["references"] = sys.gettotalrefcount()
    try:
        measured["descriptors"] = len(os.listdir("/proc/self/fd"))
    except OSError:
        pass
    return measured


def resident() -> int | None:
    """The bytes of memory that this process has resident now; None where the system hides it."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def describe_growth(before: int | None, limit: int | None) -> list[dict[str, Any]]:
    """A leak of the kind ``growth`` if this process has grown by more than *limit* bytes since *before*."""
    if limit is None or before is None:
        return []
    gc.collect()
    now = resident()
    if now is None or now - before <= limit:
        return []
    return [{"kind": "growth", "identity": f"memory grew by {now - before:,} bytes; the limit is {limit:,}"}]
