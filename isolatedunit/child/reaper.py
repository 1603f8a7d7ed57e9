"""The processes below a template: waits for them, and ends those that a test or a run has left behind."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # what `signal` has in C: an enum is anybody's to patch
import os
import select
import time

from isolatedunit.system import processes
from isolatedunit.system.grace import LEFTOVER_GRACE, WAITS, Grace, leftover_grace, times_waited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LEAVE_GRACE = 1.0
"""Seconds that what a template forked has to end by itself when the run is over."""

STOPPED_CHECK_INTERVAL = 100
"""Milliseconds between two checks for a child that has stopped to be traced, and for orphans that have ended."""

_pidfd_open, _make_poll = getattr(os, "pidfd_open", None), getattr(select, "poll", None)


_SIGCHLD = getattr(_signal, "SIGCHLD", None)
for_tests: Any = None
"""What tests find SIGCHLD set as; None if that is what it is in the template."""


def take_sigchld(wanted: Any = None) -> None:
    """Have SIGCHLD do nothing in this template, which has to learn how its children end.

    Ignored, or with a handler that reaps whatever has ended, it would not. Tests find it set as *wanted*, or else as
    it is now.
    """
    global for_tests
    if _SIGCHLD is not None:
        found = _signal.getsignal(_SIGCHLD)
        wanted = found if wanted is None else wanted
        for_tests = None if wanted == _signal.SIG_DFL else wanted
        if found not in (_signal.SIG_DFL, None):  # None: it is handled by what is not Python's, and stays so
            _signal.signal(_SIGCHLD, _signal.SIG_DFL)


def give_sigchld() -> None:
    """Set SIGCHLD as the user's code, which runs next in this process, is to find it."""
    if for_tests is not None:
        _signal.signal(_SIGCHLD, for_tests)


class RunnerGone(Exception):
    """The other end of the template's Connection was closed."""


class Watch:
    """Waits for a template's children to end, and watches *connection*, the descriptor of its Connection to the runner.

    The runner may be killed together with what the template was forked from. Then nobody else ends the child.
    """

    def __init__(self, connection: int) -> None:
        self._poll: Any = None if _make_poll is None else _make_poll()
        if self._poll is not None:
            self._poll.register(connection, 0)  # for its end only: commands have to wait
        self.used_by_orphans = 0.0

    def wait(self, process_id: int) -> tuple[int, Any] | None:
        """Wait for the child to end; returns its wait status and resource usage, as ``wait4`` does.

        Returns None if somebody else has reaped the child. Raises `RunnerGone`, after ending the child, when the
        runner is gone.
        """
        poll, descriptor, self.used_by_orphans = self._poll, None, 0.0
        try:
            if poll is not None and _pidfd_open is not None:
                descriptor = _pidfd_open(process_id)
                poll.register(descriptor, select.POLLIN)
        except OSError:
            pass  # the system is too old, or there are too few descriptors
        try:
            while True:
                ready = () if descriptor is None else poll.poll(STOPPED_CHECK_INTERVAL)
                ended, status, usage = os.wait4(process_id, 0 if descriptor is None else os.WNOHANG)
                if ended and not os.WIFSTOPPED(status):
                    return status, usage
                if ended:  # it asked to be traced
                    processes.let_go(process_id, status)
                elif any(one != descriptor for one, _ in ready):
                    end_all_below(LEAVE_GRACE)
                    raise RunnerGone
                elif not ready:
                    self._reap_orphans(process_id)
        except ChildProcessError:
            return None  # a debugger, say, that was told to
        finally:
            if descriptor is not None:
                poll.unregister(descriptor)
                os.close(descriptor)

    def _reap_orphans(self, child: int) -> None:
        """Reap processes that have lost their parents, as process 1 does where there is no subreaper.

        A test may wait for the end of one: until somebody has reaped it, its id is taken. None is the *child*'s own.
        """
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != child:
            _, _, usage = os.wait4(ended.si_pid, os.WNOHANG)
            self.used_by_orphans += usage.ru_utime + usage.ru_stime

    def is_hung_up(self, descriptor: int) -> bool:
        """Whether the other end of a Connection is closed."""
        poll = self._poll
        poll.register(descriptor, 0)
        try:
            for one, events in poll.poll(0):  # noqa: SIM110 - a generator is a function more, whose pages are copied
                if one == descriptor and events & select.POLLHUP:
                    return True
            return False
        finally:
            poll.unregister(descriptor)


def is_orphaned(parent: int) -> bool:
    """Whether the process *parent* has ended, which this child of it may see a little late."""
    deadline = time.monotonic() + LEAVE_GRACE
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.001)
    return os.getppid() != parent


def reap_quietly() -> None:
    """Reap every child that has ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_leftovers(
    process_id: int, cleanup_timeout: float | None, is_subreaper: bool, owns_namespace: bool
) -> tuple[list[dict[str, Any]], float]:
    """End what the test in this process left running; returns what that was, and the CPU seconds that it used.

    What is about to end by itself gets a little time: a test may have asked it to end, and not waited. Where this
    process *owns_namespace*, as process 1 of a pid namespace, one signal reaches everything at once.
    """
    used = [0.0]
    if not have_children(used):
        # without a subreaper only the test's process group can be found
        in_group = not is_subreaper and processes.kill_group(process_id)
        return [{"pid": None, "command": "(in the test's process group)"}] if in_group else [], used[0]
    longest = leftover_grace(cleanup_timeout)
    grace = Grace(LEFTOVER_GRACE, longest, lambda: times_waited(processes.children_of_this_process(), ready=WAITS))
    while not grace.is_over():
        time.sleep(0.005)
        if not have_children(used):
            return [], used[0]
    found: dict[int, dict[str, Any]] = {}
    while have_children(used):
        if owns_namespace:
            _end_namespace(found)
        else:
            for child in processes.children_of_this_process():
                found.setdefault(child, processes.describe_process(child))
                processes.send_signal(child, processes.SIGKILL)
        time.sleep(0.001)
    return list(found.values()), used[0]


def _end_namespace(found: dict[int, dict[str, Any]]) -> None:
    for process_id in processes.ids_below(os.getpid()):
        if not processes.has_ended(process_id):
            found.setdefault(process_id, processes.describe_process(process_id))
    try:
        os.kill(-1, processes.SIGKILL)
    except OSError:
        pass  # there is nothing left


def have_children(used: list[float] | None = None) -> bool:
    """Whether this process has children left; reaps those that have ended, and adds their CPU seconds to *used*."""
    try:
        while True:
            process_id, _, usage = os.wait4(-1, os.WNOHANG)
            if not process_id:
                return True
            if used is not None:
                used[0] += usage.ru_utime + usage.ru_stime
    except ChildProcessError:
        return False


def end_all_below(grace: float) -> None:
    """Wait until this process has no children left; kills all below it after *grace* seconds."""
    deadline = time.monotonic() + grace
    while have_children():
        if time.monotonic() > deadline:
            for process_id in processes.ids_below(os.getpid()):
                processes.send_signal(process_id, processes.SIGKILL)
        time.sleep(0.002)
