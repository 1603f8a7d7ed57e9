"""Watches over the runner itself: prints the stacks of its threads when its loop has not turned for too long."""

from __future__ import annotations

import faulthandler
import sys

_FEEDS_PER_TIMEOUT = 4


class Watchdog:
    """Prints every thread's stack to standard error when nobody has fed it for *timeout* seconds.

    It uses the timer of `faulthandler`, which needs neither Python's lock nor memory. A process has only one.
    """

    def __init__(self, timeout: float) -> None:
        self.longest_wait = timeout / 2
        self._timeout = timeout
        self._fed_at = float("-inf")
        self._works = True

    def feed(self, now: float) -> None:
        """Note that the loop turns; *now* is in seconds of any clock."""
        # setting the timer starts a thread, which is too expensive for each turn
        stream = sys.__stderr__
        if not self._works or stream is None or now - self._fed_at < self._timeout / _FEEDS_PER_TIMEOUT:
            return
        self._fed_at = now
        try:
            faulthandler.dump_traceback_later(self._timeout, file=stream)
        except (ValueError, OSError, RuntimeError):  # a standard error that is no file
            self._works = False

    def rest(self) -> None:
        """Stop watching until it is fed again."""
        self._fed_at = float("-inf")
        self.close()

    def close(self) -> None:
        """Stop watching."""
        faulthandler.cancel_dump_traceback_later()
