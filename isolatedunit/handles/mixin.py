"""`HandleTrackerMixin`: a test case that fails, or warns, when a test leaves something open."""

from __future__ import annotations

import unittest

from isolatedunit.handles import tracker
from isolatedunit.handles.tracker import HandleTracker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from typing import Any, ClassVar, TypeVar

    T = TypeVar("T")

__unittest = True  # leaves this module's frames out of unittest's tracebacks


class HandleTrackerMixin(unittest.TestCase):
    """Tracks the handles of each test of a class, from before its ``setUp`` to after its cleanups.

    List it before `unittest.TestCase` among the bases. It works with and without isolation. *leaks*
    sets the result of a test that leaves something open: ``"fail"``, ``"warn"`` (a
    `ResourceWarning`) or ``"ignore"``, optionally per kind as in ``"fail:process,file"``. *allowed_leaks*
    lists accepted leaks, in the format of the option of that name.
    """

    leaks: str = "fail"
    allowed_leaks: tuple[str, ...] = ()
    handle_cleanup_timeout: float | timedelta | None = tracker.DEFAULT_TIMEOUT
    """The longest time, in seconds or as a ``timedelta``, to spend on closing the handles left open."""

    _tracker: HandleTracker | None = None
    __isolatedunit_carried__: ClassVar[dict[str, Any]] = {"track_handles": "on", "leaks": "fail"}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: vars(cls)[name] for name in ("leaks", "allowed_leaks") if name in vars(cls)}
        cls.__isolatedunit_carried__ = {"track_handles": "on", **own}

    @property
    def handle_tracker(self) -> HandleTracker:
        """The tracker of the running test."""
        if tracker.current is not None:
            return tracker.current
        if self._tracker is None:
            self._tracker = HandleTracker()
        return self._tracker

    def track(self, handle: T, close: Callable[[], Any] | None = None, **how: str) -> T:
        """Watch *handle* as `HandleTracker.track` does, and return it."""
        return self.handle_tracker.track(handle, close, **how)

    def _callSetUp(self) -> None:
        # trap: the author's setUp need not call ours, so the tracker cannot start there
        runner = getattr(self, "_asyncioRunner", None)
        if runner is not None:
            runner.get_loop()  # IsolatedAsyncioTestCase closes its loop after our look: make it before the baseline
        if tracker.current is None:
            self.handle_tracker.start()
        super()._callSetUp()  # type: ignore[misc]

    def doCleanups(self) -> Any:
        """Run the test's cleanups and, as the last one, the check for open handles."""
        passed = super().doCleanups()
        if self._tracker is None or tracker.current is not None:
            return passed
        self.addCleanup(self._report_leaks)
        return super().doCleanups() and passed

    def _report_leaks(self) -> None:
        from isolatedunit.config.leak_policy import Policy, format_leak

        handles, self._tracker = self._tracker, None
        if handles is None:
            return
        found = handles.finish(self.handle_cleanup_timeout)
        judged = Policy(self.leaks, self.allowed_leaks).judge(self.id(), found.leaks)
        if judged.warned:
            import warnings

            text = "; ".join(format_leak(leak) for leak in judged.warned)
            warnings.warn(f"{self.id()} left behind: {text}", ResourceWarning, stacklevel=2)
        if judged.failed:
            count, lines = len(judged.failed), "\n".join(f"  {format_leak(leak)}" for leak in judged.failed)
            raise self.failureException(f"The test left {count} leak{'' if count == 1 else 's'} behind:\n{lines}")
