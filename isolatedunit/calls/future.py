"""`IsolatedFuture`, the future result of an isolated call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, TypeVar

from isolatedunit.calls.result import IsolatedTestResult
from isolatedunit.errors import CarryError, IsolatedUnitError
from isolatedunit.model.events import Event, ProgressMade
from isolatedunit.reporters.listeners import GuardedListener
from isolatedunit.system.durations import to_seconds

T = TypeVar("T")


class IsolatedFuture(Future[IsolatedTestResult[T]]):
    """The future result of an isolated call. Cancelling it ends the call's process, if there is one.

    It has an exception only for an error on the runner's side: a call that fails has a result that
    says so. *attempt_id* is the id by which events and logs name the call; a retry changes it.
    """

    def __init__(
        self,
        attempt_id: str,
        cancel_call: Callable[[], None],
        write_line: Callable[[str], object],
        is_runners_thread: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._is_runners_thread = is_runners_thread
        self.attempt_id = attempt_id
        self._cancel_call = cancel_call
        self._write_line = write_line
        self._runs = False
        self._listeners: list[GuardedListener] = []
        self._last_progress: ProgressMade | None = None
        self._progress_lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise CarryError("a future belongs to the process of its runner; pass what it gives")

    def cancel(self) -> bool:
        """Cancel the call, even a running one; returns False if it is already done."""
        if not super().cancel():
            return False
        self._cancel_call()
        return True

    def result(self, timeout: float | timedelta | None = None) -> IsolatedTestResult[T]:
        """Wait for the call and return its result. A listener or a callback of the runner's must not wait."""
        self._refuse_to_wait_in_vain()
        return super().result(to_seconds(timeout, "result"))

    def exception(self, timeout: float | timedelta | None = None) -> BaseException | None:
        """Wait for the call; return the error on the runner's side, if there was one."""
        self._refuse_to_wait_in_vain()
        return super().exception(to_seconds(timeout, "exception"))

    def _refuse_to_wait_in_vain(self) -> None:
        if self._is_runners_thread() and not self.done():
            raise IsolatedUnitError(
                "a listener or a callback cannot wait for a call of its own runner, which runs it in the thread that "
                "serves the calls; use submit and add_done_callback, or wait in another thread"
            )

    def running(self) -> bool:
        """Whether the call has a process now."""
        return self._runs and not self.done()

    def on_progress(self, callback: Callable[[ProgressMade], object]) -> None:
        """Call *callback* with each `ProgressMade` of this call: at once with the latest, if there was one before.

        It is called in the runner's thread and must not block. If it raises, it is not called again.
        """
        listener = GuardedListener(callback, self._write_line)
        with self._progress_lock:
            self._listeners.append(listener)
            latest = self._last_progress
        if latest is not None:
            listener.handle(latest)

    def note_start(self, attempt_id: str) -> None:
        """Note that an attempt at the call has a process."""
        self.attempt_id = attempt_id
        self._runs = True

    def note_progress(self, event: ProgressMade) -> None:
        """Pass on what the call reported about its progress."""
        with self._progress_lock:
            self._last_progress = event
            listeners: list[Any] = list(self._listeners)
        told: Event = event
        for listener in listeners:
            listener.handle(told)

    def settle(self, result: IsolatedTestResult[T] | BaseException) -> None:
        """Set the result, or the exception, of the finished call; does nothing if the call was cancelled."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            if isinstance(result, BaseException):
                self.set_exception(result)
            else:
                self.set_result(result)
        except BaseException:  # such as a SystemExit of somebody's callback, which `Future` lets through
            logging.getLogger("concurrent.futures").exception("exception calling callback for %r", self)
