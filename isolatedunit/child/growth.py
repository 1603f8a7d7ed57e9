"""Whether a test's process grows: by more than it may, or a little each time that the test runs.

The second is how CPython's regrtest hunts for leaks of references (its ``-R``): what a test
allocates and gives back is gone after each run; what grows every time is kept by somebody.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WARM_UPS = 3
"""Runs before the first that counts: caches fill, modules are imported."""

_WORDS = {"blocks": "memory blocks", "references": "references", "descriptors": "open descriptors"}


def hunt(run_once: Callable[[], None], times: int) -> list[dict[str, Any]]:
    """Run something *times* times, and tell what grew steadily: as leaks of the kind ``growth``."""
    for _ in range(WARM_UPS):
        run_once()
    before = _measure()
    growth: dict[str, list[int]] = {name: [] for name in before}
    for _ in range(times):
        run_once()
        after = _measure()
        for name, value in after.items():
            growth[name].append(value - before[name])
        before = after
    return [
        {"kind": "growth", "identity": f"{_WORDS[name]} grew by {_told(deltas)} in {times} runs"}
        for name, deltas in growth.items()
        if all(delta > 0 for delta in deltas)
    ]


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
    return [{"kind": "growth", "identity": f"memory grew by {now - before:,} bytes and may grow by {limit:,}"}]
