"""Tracks what a function leaves open, for the tests of the handle tracker."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from isolatedunit import HandleCleanupResult, HandleTracker
from isolatedunit.handles import origins

# Python traces no audit hook that does not ask for it: without this, coverage would find that no line of it ran
origins._hear.__cantrace__ = True  # type: ignore[attr-defined]


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


class LeakCase(unittest.TestCase):
    """Tests of what is left open."""

    def check(self, body: Callable[[], Any], kind: str, identity: str, origin: str | None) -> HandleCleanupResult:
        """Run *body*, which has to leave one handle of the *kind*, whose identity and origin these are."""
        found = track(body)
        self.assertEqual(found.by_kind.get(kind), 1, found)
        (leak,) = [leak for leak in found.leaks if leak["kind"] == kind]
        self.assertIn(identity, leak["identity"])
        if origin is not None:
            self.assertEqual(leak["origin"], origin)
        return found


class CleanCase(unittest.TestCase):
    """Tests of what leaves nothing."""

    def check(self, body: Callable[[], Any]) -> HandleCleanupResult:
        """Run *body*, which has to leave nothing."""
        found = track(body)
        self.assertEqual((found.leaked, found.leaks), (0, ()))
        return found
