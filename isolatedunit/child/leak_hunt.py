"""Whether a test's process grows: by more than it may, or a little in every run of the test.

The second is how CPython's regrtest hunts for reference leaks (its option ``-R``): what a test allocates and frees is
gone after each run, so what grows in every run is kept by something.
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
"""Runs before the first that counts, in which caches fill and modules are imported."""

NOISE = 1
"""By how much an interpreter's free lists let a count go up or down from one run to the next."""

SECOND_LOOKS = 2
"""How often growth that could be noise is measured again: real growth is there every time."""

_DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_WORDS = {"blocks": "memory blocks", "references": "references", "descriptors": "open descriptors"}


def hunt(
    run_once: Callable[[], None], times: int, measure: Callable[[], dict[str, int]] | None = None
) -> list[dict[str, Any]]:
    """Call *run_once* *times* times and return what grew in every run, as leaks of the kind ``growth``.

    *measure* returns figures by the names of ``_WORDS``; by default it looks at this process.
    """
    for _ in range(WARM_UPS - 1):
        run_once()
    measure = measure or _measure
    grown = _grown(run_once, times, measure)
    for _ in range(SECOND_LOOKS):
        doubtful = [name for name, deltas in grown.items() if min(deltas) <= NOISE]
        if doubtful:
            again = _grown(run_once, times, measure)
            grown = {name: deltas for name, deltas in grown.items() if name not in doubtful or name in again}
    return [
        {"kind": "growth", "identity": f"{_WORDS[name]} grew by {_told(deltas)} in {times} runs"}
        for name, deltas in grown.items()
    ]


def _grown(run_once: Callable[[], None], times: int, measure: Callable[[], dict[str, int]]) -> dict[str, list[int]]:
    """Measure what grows in each of *times* runs, after one more run before them, and by how much."""
    # room for all values is made beforehand: the measurement must not be what grows
    kept = {name: array("q", bytes(8 * (times + 1))) for name in measure()}
    for run in range(times + 1):
        run_once()
        for name, value in measure().items():
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
        measured["descriptors"] = len(os.listdir(_DESCRIPTORS))
    except OSError:
        pass
    return measured


def resident() -> int | None:
    """The resident bytes of this process; None where the system hides them."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def describe_growth(before: int | None, limit: int | None) -> list[dict[str, Any]]:
    """Return a leak of the kind ``growth`` if this process has more than *limit* bytes over *before*."""
    if limit is None or before is None:
        return []
    gc.collect()
    now = resident()
    if now is None or now - before <= limit:
        return []
    return [{"kind": "growth", "identity": f"memory grew by {now - before:,} bytes; the limit is {limit:,}"}]
