"""Looks at what runs: whether it exceeds a limit, how it is, and what it is doing; and suspends it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Sequence

from isolatedunit.backends.contract import Child, loads_elsewhere
from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.diagnosis import join_stacks
from isolatedunit.engine.attempt.stimuli import Examined, FoundWaiting, LimitExceeded
from isolatedunit.model.usage import Usage
from isolatedunit.system import processes
from isolatedunit.system.usage import condition_of, count_oom_kills, resume, suspend, used_by, what_it_waits_for

SHOW_GRACE, SHOW_INTERVAL, LONGEST_SHOW_GRACE = 0.25, 0.02, 5.0
"""Seconds that children get to write their stacks when the user asks what is running, those between two looks whether
they have done so, and at most, on a busy machine: nothing else is done meanwhile."""

SAMPLE_INTERVAL = 0.1
"""Seconds between two looks at what an attempt uses that has a limit for it."""

OUTPUT_INTERVAL = 0.3
"""Seconds between two looks at an attempt without such a limit: at how much it has written, and at the memory that a
report shows."""


def seconds_between_looks(options: Options) -> float | None:
    """The seconds between two looks at an attempt with these options; None if there is nothing to look at.

    Each look takes processor time from the tests, so there are no more looks than necessary.
    """
    if options.tells_output or _has_limits(options):
        return SAMPLE_INTERVAL
    return None if options.max_output is None and not _shows_memory(options) else OUTPUT_INTERVAL


def measures_use(options: Options) -> bool:
    """Whether it is of interest what the processes of a test use."""
    return _shows_memory(options) or _has_limits(options)


def _shows_memory(options: Options) -> bool:
    """Whether a report shows the memory of a test over its time."""
    return not (options.html is None and options.serve is None and options.trace is None)


def _has_limits(options: Options) -> bool:
    return not (options.memory_limit is None and options.cpu_limit is None and options.max_processes is None)


def find_excess(options: Options, used: Usage | None, written: int, subject: str = "The test") -> LimitExceeded | None:
    """The first limit that *subject* exceeds, which has *used* and *written* so much; None if there is none."""
    if options.max_output is not None and written > options.max_output:
        return LimitExceeded(
            "output", f"{subject} wrote {written:,} bytes; the limit is {options.max_output:,} (max_output)."
        )
    if used is None:
        return None
    if options.memory_limit is not None and used.rss > options.memory_limit:
        return over_memory(used.rss, options.memory_limit, subject)
    if options.cpu_limit is not None and used.cpu_time > options.cpu_limit:
        return LimitExceeded(
            "cpu", f"{subject} used {used.cpu_time:.1f} s of CPU time; the limit is {options.cpu_limit:g} s."
        )
    if options.max_processes is not None and used.processes > options.max_processes:
        return LimitExceeded(
            "processes", f"{subject} had {used.processes} processes at once; the limit is {options.max_processes}."
        )
    return None


def over_memory(used: int | None, allowed: int, subject: str = "The test") -> LimitExceeded:
    """The excess of *subject*, whose processes have *used* so many bytes, None if nobody knows how many."""
    size = "too many" if used is None else f"{used:,}"
    who = "The test's processes" if subject == "The test" else subject
    return LimitExceeded("memory", f"{who} used {size} bytes of memory; the limit is {allowed:,}.")


def examine(child: Child | None) -> Examined:
    """The condition of the child's own process, or of the one that imports its module, and of the machine."""
    found = None if child is None else next(iter(child.processes()), None)
    if found is None and child is not None and loads_elsewhere(child):
        found = child.loading_process
    return Examined(None if found is None else condition_of(found), processes.load_per_processor())


def find_waiting(child: Child) -> FoundWaiting:
    """What a child waits for that sleeps in the kernel."""
    return FoundWaiting(next((what_it_waits_for(process) for process in child.processes()), ""))


class Stacks:
    """The stacks that a child has written at each request, kept apart though they all are in one file."""

    def __init__(self) -> None:
        self._shown = 0
        self._cuts: list[int] = []

    def ask(self, child: Child) -> None:
        """Have the child write its stacks, behind those that it has written before."""
        self._cuts.append(len(child.read_output([])[1]))
        child.dump_stacks()

    def peek(self, child: Child) -> str:
        """What has come so far of the stacks of the last request."""
        return child.read_output([])[1][self._cuts[-1] if self._cuts else self._shown :]

    def read_shown(self, child: Child) -> str:
        """The stacks of the last request, which are shown at once, and are in no report."""
        everything = child.read_output([])[1]
        begin = self._cuts.pop() if self._cuts else self._shown
        self._shown = len(everything)
        return everything[begin:]

    def read(self, child: Child) -> str:
        """All stacks that belong into the report."""
        everything = child.read_output([])[1]
        cuts = [self._shown, *(cut for cut in self._cuts if cut > self._shown), len(everything)]
        return join_stacks([everything[begin:end] for begin, end in itertools.pairwise(cuts)])


def show_stacks(asked: Iterable[tuple[Stacks, Child]]) -> list[str]:
    """The stacks of these children, one text for each."""
    asked = list(asked)
    for stacks, child in asked:
        stacks.ask(child)
    grace = min(SHOW_GRACE * processes.load_per_processor(), LONGEST_SHOW_GRACE)
    deadline, before = time.monotonic() + grace, [""]
    while time.monotonic() < deadline:
        time.sleep(SHOW_INTERVAL)
        now = [stacks.peek(child) for stacks, child in asked]
        if all(now) and now == before:
            break
        before = now
    return [stacks.read_shown(child) for stacks, child in asked]


def stop_with(children: Iterable[Child], pids_with_successor: Iterable[int]) -> None:
    """Stop this process, the *children*, and the processes that would begin a child by themselves.

    Returns when this process has been continued, and continues the others.
    """
    stopped = [*pids_with_successor, *(process for child in children for process in child.processes())]
    suspend(stopped)
    try:
        os.kill(os.getpid(), processes.STOP)
    finally:
        resume(stopped)


class OomWatch:
    """Finds out whether the kernel may have killed a process because it was out of memory."""

    def __init__(self) -> None:
        self._known = count_oom_kills()

    def blame(self, name: str, size: int | None, others: Sequence[tuple[str, Child]]) -> LimitExceeded | None:
        """The cause of a SIGKILL to the test *name* that did not come from here; None if memory was not the reason."""
        now = count_oom_kills()
        if now <= self._known:
            return None
        self._known = now
        sizes = [f"{name} ({_show(size)})"]
        for other, child in others:
            used = used_by(child.processes())
            sizes.append(f"{other} ({_show(None if used is None else used.rss)})")
        text = f"The kernel ran out of memory and killed the test's process. Running at that time: {', '.join(sizes)}."
        return LimitExceeded("memory", text)


def _show(size: int | None) -> str:
    return "size unknown" if size is None else f"{size / 2**20:.1f} MiB"
