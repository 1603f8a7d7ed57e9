"""What may be asked of a run while it is on, from signal handlers and from any thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from isolatedunit.engine.loop import Loop
from isolatedunit.engine.scheduling.scheduler import Scheduler


class Control:
    """Collects what is asked of a run; the run's own thread looks here each time that its loop turns.

    A signal handler may interrupt any line of the run, so the public methods only note what is wanted and wake the
    loop. *pids_with_successor* gives the processes that would begin a child by themselves while the run is suspended.
    *interrupts* counts the Ctrl-Cs; *stop_reason* is why no further test begins, None while the run goes on.
    """

    def __init__(self, loop: Loop, pids_with_successor: Callable[[], list[int]]) -> None:
        self.interrupts = 0
        self.stop_reason: str | None = None
        self._loop = loop
        self._pids_with_successor = pids_with_successor
        self._actions: deque[Callable[[], None]] = deque()
        self._calls: deque[Callable[[Scheduler], object]] = deque()

    # ---- from signal handlers and other threads

    def interrupt(self) -> None:
        """Begin no further test and end those that run, as on a Ctrl-C; the second call kills them."""
        self.interrupts += 1
        self._loop.wake_up()

    def pass_on(self) -> None:
        """Send a Ctrl-C to the tests that run; where none does, it interrupts the run."""
        self._add(self._pass_on)

    def suspend(self) -> None:
        """Stop this process and everything that runs, as on a Ctrl-Z, until the shell continues it."""
        self._add(self._suspend)

    def inspect(self) -> None:
        """Report to the listeners what runs, and the stacks of its threads."""
        self._add(self._loop.inspect)

    def stop(self, reason: str) -> None:
        """Begin no further test; those that run may finish. The first reason stays."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self._loop.wake_up()

    def end(self, reason: str) -> None:
        """Begin no further test, and end those that run."""
        self.stop(reason)
        self._add(lambda: self._loop.cancel(reason))

    def ask(self, call: Callable[[Scheduler], object]) -> None:
        """Have the run's own thread call *call* with its scheduler while tests run."""
        self._calls.append(call)
        self._loop.wake_up()

    def cancel_attempt(self, attempt: str, reason: str) -> None:
        """End the attempt with this id, if it runs."""
        self.ask(lambda _: self._loop.cancel(reason, attempt=attempt))

    # ---- from the run's own thread

    def obey(self, scheduler: Scheduler | None = None) -> None:
        """Do what was asked for; what needs a *scheduler* waits until there is one."""
        while self._actions:
            self._actions.popleft()()
        while self._calls and scheduler is not None:
            self._calls.popleft()(scheduler)

    def _add(self, action: Callable[[], None]) -> None:
        if action not in self._actions:  # a key that is held down sends its signal again and again
            self._actions.append(action)
        self._loop.wake_up()

    def _pass_on(self) -> None:
        if not self._loop.pass_on_interrupt():
            self.interrupt()

    def _suspend(self) -> None:
        self._loop.suspend(self._pids_with_successor())
