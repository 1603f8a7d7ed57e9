"""Which start method this system can use."""

from __future__ import annotations

import os
import sys

from isolatedunit.errors import BackendUnavailable


def usable_start_method(wanted: str) -> str:
    """The start method to use for *wanted*; raises `BackendUnavailable`."""
    can_fork = hasattr(os, "fork") and hasattr(os, "wait4") and sys.platform != "win32"
    if wanted == "auto":
        return "forkserver" if can_fork and sys.platform == "linux" else "spawn"
    if wanted == "forkserver" and not can_fork:
        raise BackendUnavailable("start_method 'forkserver' needs a system that can fork; use 'spawn'.")
    return wanted
