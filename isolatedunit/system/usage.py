"""Measures from outside what processes use and in what condition they are.

psutil reports memory, CPU time and state on every system; the time that a thread waited for a processor
is known on Linux only. What cannot be found out is None or empty, never an error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from isolatedunit.model.usage import Condition, Usage
from isolatedunit.system import processes
from isolatedunit.system.cgroups import MemoryLimits, processor_quota
from isolatedunit.system.grace import times_waited

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

_NANOSECONDS = 1e9
_LIMITS = () if resource is None else tuple(getattr(resource, name) for name in dir(resource) if name[:7] == "RLIMIT_")
_INHERITED = (b"Umask", b"Uid", b"Gid", b"Groups", b"CapEff", b"NoNewPrivs", b"Seccomp", b"SigBlk", b"SigIgn", b"Cpus")
_OOM_COUNTERS = ("/proc/vmstat", "/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_INTERNAL_SIGNALS = 1 << (32 - 1) | 1 << (33 - 1)  # in a signal mask, signal 1 is the lowest bit


def used_by(process_ids: Sequence[int]) -> Usage | None:
    """The present usage of these processes; None if the first of them is gone."""
    rss, cpu_time, count = 0, 0.0, 0
    for process_id in process_ids:
        used = processes.use_of(process_id)
        if used is not None:
            rss, cpu_time, count = rss + used[0], cpu_time + used[1], count + 1
        elif not count:
            return None
    return Usage(rss, cpu_time, count) if count else None


class Processors:
    """The processors that this process may use. *count* respects the quota of its control groups."""

    def __init__(self) -> None:
        self.installed = os.cpu_count() or 1
        usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._chosen = None if usable is None or len(usable) == self.installed else sorted(usable)
        quota = processor_quota()
        count = float(self.installed if self._chosen is None else len(self._chosen))
        self.count = count if quota is None else min(count, quota)

    def idle_time(self) -> float | None:
        """The total idle time of these processors so far, in seconds; None if it is unknown."""
        return processes.idle_time(self._chosen)

    def used_by_children(self, running: Sequence[int]) -> float:
        """The CPU seconds used so far by this process's children: the ended ones and those in *running*."""
        times = os.times()
        live = [processes.use_of(process_id) for process_id in running]
        return times.children_user + times.children_system + sum(used[1] for used in live if used is not None)


def inherited() -> tuple[Any, ...]:
    """What a process started now by this thread would inherit, besides its environment; only for comparison.

    It covers limits and priority; on Linux also umask, user and group ids, blocked and ignored signals, and CPUs.
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
    # trap: the C library starts handling its internal signals with the first thread; to a child it makes no difference
    name, _, value = line.partition(b":")
    return b"%s:%x" % (name, int(value, 16) & ~_INTERNAL_SIGNALS) if name.startswith(b"Sig") else line


class FreeMemory:
    """Reports how much memory is still free, on this machine and within this process's control groups."""

    def __init__(self) -> None:
        self._limits: MemoryLimits | None = None

    def ask(self) -> int | None:
        """The free memory in bytes; None if it is unknown."""
        if self._limits is None:
            self._limits = MemoryLimits()
        known = [bytes_ for bytes_ in (processes.available_memory(), self._limits.left()) if bytes_ is not None]
        return min(known, default=None)


def condition_of(process_id: int) -> Condition | None:
    """The present condition of the process; None if it is gone."""
    known = processes.threads_of(process_id)
    if known is None:
        return None
    state, by_thread = known
    first = next(iter(by_thread.values()), 0.0)  # where the main thread does not have the number of its process
    main_cpu, all_cpu = by_thread.get(process_id, first), sum(by_thread.values())
    return Condition(state, main_cpu, all_cpu, _time_waited(process_id), _time_waited_below(process_id, all_cpu))


def _time_waited_below(process_id: int, own_cpu: float) -> float:
    """How long the threads of this process waited for a processor, or the processes that it ran, one after another.

    Nobody knows that of those that have ended: it is estimated from the CPU time that they used, and the load.
    """
    used = processes.use_of(process_id)
    ended = 0.0 if used is None else max(0.0, used[1] - own_cpu) * (processes.load_per_processor() - 1.0)
    living = times_waited([process_id]) or {}
    return ended + max(living.values(), default=0.0)


def _time_waited(process_id: int) -> float | None:
    try:
        with open(f"/proc/{process_id}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / _NANOSECONDS
    except (OSError, ValueError, IndexError):
        return None


_WAITS = (
    ("hrtimer_nanosleep", "sleep"),
    ("futex_", "lock"),
    ("do_wait", "process"),
    ("pipe_", "pipe"),
    ("anon_pipe_", "pipe"),
    ("poll_", "poll"),
    ("do_epoll_", "poll"),
    ("ep_poll", "poll"),
    ("inet_", "socket"),
    ("sk_", "socket"),
    ("tcp_", "socket"),
    ("udp_", "socket"),
    ("unix_", "socket"),
    ("__skb_", "socket"),
    ("wait_woken", "socket"),
    ("flock_", "file lock"),
    ("locks_", "file lock"),
    ("posix_lock_", "file lock"),
)
"""What processes wait for, by how the kernel's function begins in which they sleep."""


def what_it_waits_for(process_id: int) -> str:
    """What the main thread of the process waits for, in a word; empty if the system does not tell."""
    try:
        with open(f"/proc/{process_id}/wchan", encoding="ascii", errors="replace") as file:
            function = file.read()
    except OSError:
        return ""
    return next((word for begin, word in _WAITS if function.startswith(begin)), "")


def count_oom_kills(counters: Sequence[str] = _OOM_COUNTERS) -> int:
    """How many processes the kernel has killed for lack of memory, according to the files *counters*."""
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
    """The total size of these files in bytes; a missing file counts as empty."""
    total = 0
    for path in paths:
        try:
            total += os.stat(path).st_size
        except OSError:
            continue
    return total
