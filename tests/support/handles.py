"""Tracks what a function leaves open, for the tests of the handle tracker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isolatedunit import HandleCleanupResult, HandleTracker


def line_of(function: Callable[..., Any], offset: int) -> str:
    """The origin that a leak made *offset* lines below ``def`` of this function is to have."""
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno + offset} in {code.co_name}"


def track(body: Callable[[], Any], timeout: float = 10.0) -> HandleCleanupResult:
    """What a tracker makes of *body*, whose result is kept until then."""
    tracker = HandleTracker().start()
    kept = body()
    found = tracker.finish(timeout)
    del kept
    return found
