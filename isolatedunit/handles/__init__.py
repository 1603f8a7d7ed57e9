"""What a test opened and did not close: `HandleTracker`, its result, and a mixin for test cases.

Used in a child for the whole attempt, and in any process for a single test. It imports nothing that
a test did not import itself, unless there is a leak to be described: a fork pays for every module.
"""

from __future__ import annotations

from isolatedunit.handles.mixin import HandleTrackerMixin
from isolatedunit.handles.result import HandleCleanupResult
from isolatedunit.handles.tracker import HandleTracker

__all__ = ["HandleCleanupResult", "HandleTracker", "HandleTrackerMixin"]
