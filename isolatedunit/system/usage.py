"""What processes use and how they fare, as the operating system tells it: asked from outside.

psutil knows memory, CPU time and state everywhere; how long a thread was ready to run and had no processor
is known on Linux only. What cannot be found out is None or nothing, never an error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from isolatedunit.model.usage import Condition, Usage
from isolatedunit.system import processes
from isolatedunit.system.cgroups import MemoryLimits, processor_quota

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

_NANOSECONDS = 1e9
_LIMITS = () if resource is None else tuple(getattr(resource, name) for name in dir(resource) if name[:7] == "RLIMIT_")
_INHERITED = (b"Umask", b"Uid", b"Gid", b"Groups", b"CapEff", b"NoNewPrivs", b"Seccomp", b"SigBlk", b"SigIgn", b"Cpus")
_OOM_COUNTERS = ("/proc/vmstat", "/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_INTERNAL_SIGNALS = 1 << (32 - 1) | 1 << (33 - 1)  # as they are in a mask, where signal 1 is the lowest bit


def used_by(process_ids: Sequence[int]) -> Usage | None:
    """What these processes use now; None when the first of them is gone."""
    rss, cpu_time, count = 0, 0.0, 0
    for process_id in process_ids:
        used = processes.use_of(process_id)
        if used is not None:
            rss, cpu_time, count = rss + used[0], cpu_time + used[1], count + 1
        elif not count:
            return None
    return Usage(rss, cpu_time, count) if count else None


class Processors:
    """The processors that this process may use: *count* of them, which a control group may make less than are there."""

    def __init__(self) -> None:
        self.installed = os.cpu_count() or 1
        usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._chosen = None if usable is None or len(usable) == self.installed else sorted(usable)
        quota = processor_quota()
        count = float(self.installed if self._chosen is None else len(self._chosen))
        self.count = count if quota is None else min(count, quota)

    def idle_time(self) -> float | None:
        """The seconds that they have had nothing to do so far, together; None where nobody knows."""
        return processes.idle_time(self._chosen)

    def used_by_children(self, running: Sequence[int]) -> float:
        """The seconds that this process's children used so far: those that have ended, and these that run."""
        times = os.times()
        live = [processes.use_of(process_id) for process_id in running]
        return times.children_user + times.children_system + sum(used[1] for used in live if used is not None)


def inherited() -> tuple[Any, ...]:
    """What a process that this thread starts now has from it, besides its environment: to be compared, no more.

    Limits and priority; on Linux also the umask, identity, signals that are blocked or ignored, and processors.
    """
    found: list[Any] = [] if resource is None else [resource.getrlimit(limit) for limit in _LIMITS]
    if hasattr(os, "nice"):
        found.append(os.nice(0))
    try:
        with open("/proc/thread-self/status", "rb") as file:
            found += [_without_internal_signals(line) for line in file if line.startswith(_INHERITED)]
    except OSError:
        pass
    return tuple(found)


def _without_internal_signals(line: bytes) -> bytes:
    # the C library begins to handle its own when a process has its first thread, which changes nothing for a child
    name, _, value = line.partition(b":")
    return b"%s:%x" % (name, int(value, 16) & ~_INTERNAL_SIGNALS) if name.startswith(b"Sig") else line


class FreeMemory:
    """How much memory can still be taken: on this machine, and by the control groups that this process is in."""

    def __init__(self) -> None:
        self._limits: MemoryLimits | None = None

    def ask(self) -> int | None:
        """The bytes; None where nobody knows."""
        if self._limits is None:
            self._limits = MemoryLimits()
        known = [bytes_ for bytes_ in (processes.available_memory(), self._limits.left()) if bytes_ is not None]
        return min(known, default=None)


def condition_of(process_id: int) -> Condition | None:
    """How the process fares now; None when it is gone."""
    known = processes.threads_of(process_id)
    if known is None:
        return None
    state, by_thread = known
    waited = _time_waited(process_id)
    return Condition(state, by_thread.get(process_id, 0.0), sum(by_thread.values()), waited)


def _time_waited(process_id: int) -> float | None:
    try:
        with open(f"/proc/{process_id}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / _NANOSECONDS
    except (OSError, ValueError, IndexError):
        return None


def count_oom_kills(counters: Sequence[str] = _OOM_COUNTERS) -> int:
    """How often the kernel has ended a process for want of memory, as far as its *counters* tell."""
    total = 0
    for path in counters:
        try:
            with open(path, encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
        except (OSError, ValueError, IndexError):
            continue
    return total


def suspend(process_ids: Sequence[int]) -> None:
    """Stop the processes, until `resume`."""
    for process_id in process_ids:
        processes.send_signal(process_id, processes.STOP)


def resume(process_ids: Sequence[int]) -> None:
    """Let stopped processes go on."""
    for process_id in process_ids:
        processes.send_signal(process_id, processes.CONTINUE)


def size_of(paths: Sequence[str]) -> int:
    """How many bytes are in these files together; those that are missing have none."""
    total = 0
    for path in paths:
        try:
            total += os.stat(path).st_size
        except OSError:
            continue
    return total
