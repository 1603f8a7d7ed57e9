"""The memory of a call's process that is its own: what it shares with no other."""

from __future__ import annotations

import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

FEW = 8 * 1024 * 1024
"""Up to so many bytes are not measured but counted, as the pages that the process has touched since its fork.

To measure it the kernel looks at each page that the process has, also those of the template: a tenth of a short call.
"""


class OwnMemory:
    """Begins to count when it is made, in the process of the call, which is a *fork* or an interpreter of its own."""

    def __init__(self, *, is_fork: bool) -> None:
        self._size_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if is_fork and resource else None

    def measure(self) -> int | None:
        """The resident bytes that this process shares with no other; None where the system hides them."""
        if sys.platform != "linux":
            return None
        if self._size_before is not None:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            touched = usage.ru_minflt * resource.getpagesize()
            # a huge page is touched once; it shows in the size
            if touched < FEW and (usage.ru_maxrss - self._size_before) * 1024 < FEW:
                return touched
        return _measure()


def _measure() -> int | None:
    total = 0
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Private_"):
                    total += int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return total
