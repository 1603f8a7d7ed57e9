"""What a test opened and did not close: `HandleTracker`, its result, and a mixin for test cases.

A tracker covers a whole attempt in a child, or a single test in any process. It imports only modules
that the test has imported already, unless it has a leak to describe: a fork pays for every module.
For the same reason the names of this package are imported on first use.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isolatedunit.handles.mixin import HandleTrackerMixin
    from isolatedunit.handles.result import HandleCleanupResult
    from isolatedunit.handles.tracker import HandleTracker

__all__ = ["HandleCleanupResult", "HandleTracker", "HandleTrackerMixin"]

_HOMES = {"HandleCleanupResult": "result", "HandleTracker": "tracker", "HandleTrackerMixin": "mixin"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
