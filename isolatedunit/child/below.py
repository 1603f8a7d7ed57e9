"""The processes below a template: waits for them, and ends what a test, or a run, has left of them."""

from __future__ import annotations

import os
import time

from isolatedunit import resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# a user's module, imported by a template, may replace them in their modules
_clock, _sleep, _wait4, _waitpid = time.monotonic, time.sleep, os.wait4, os.waitpid


def reap_quietly() -> None:
    """Wait for every child that has ended."""
    try:
        while _waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_leftovers(process_id: int, cleanup_timeout: float | None) -> tuple[list[dict[str, Any]], float]:
    """End what the test with this process left running; tell what that was, and its CPU seconds.

    What is about to end by itself gets its time to: a test may have told it so and not waited.
    """
    used = [0.0]
    if not have_children(used):
        # with no subreaper, what is in the test's group is all that can be found
        in_group = resources.kill_group(process_id)
        return [{"pid": None, "command": "(in the test's process group)"}] if in_group else [], used[0]
    deadline = _clock() + resources.leftover_grace(cleanup_timeout)
    while _clock() < deadline:
        _sleep(0.005)
        if not have_children(used):
            return [], used[0]
    found: dict[int, dict[str, Any]] = {}
    while have_children(used):
        for child in resources.children_of_this_process():
            found.setdefault(child, resources.describe_process(child))
            resources.send_signal(child, resources.SIGKILL)
        _sleep(0.001)
    return list(found.values()), used[0]


def have_children(used: list[float] | None = None) -> bool:
    """Whether this process has children; waits for those that have ended, and adds to *used* their CPU seconds."""
    try:
        while True:
            process_id, _, usage = _wait4(-1, os.WNOHANG)
            if not process_id:
                return True
            if used is not None:
                used[0] += usage.ru_utime + usage.ru_stime
    except ChildProcessError:
        return False


def end_all_below(grace: float) -> None:
    """Return when this process has no children left, SIGKILLing them after *grace* seconds."""
    deadline = _clock() + grace
    while have_children():
        if _clock() > deadline:
            resources.kill_all(resources.processes_below(os.getpid()))
        _sleep(0.002)
