"""What a test opened and did not close: `HandleTracker`, its result, and a mixin for test cases.

Used in a child for the whole attempt, and in any process for a single test. It imports nothing that
a test did not import itself, unless there is a leak to be described: a fork pays for every module.
So these names are imported when they are first used, too.
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
