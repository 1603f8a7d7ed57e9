"""What a test may use and what it leaves behind: limits before it, a look around after it."""

from __future__ import annotations

import _thread
import atexit
import sys
import time
from types import ModuleType

from isolatedunit.protocol.messages import RunFunction, RunTest
from isolatedunit.system import cgroups, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from typing import Any

    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.protocol.child_settings import ChildSettings
    from isolatedunit.protocol.messages import Work

try:
    import resource
except ImportError:  # Windows has no limits that a process sets for itself
    resource = None  # type: ignore[assignment]

MEMORY_HEADROOM = 2
"""How often its memory limit a process may reserve: the stacks of threads, above all, are reserved and hardly used."""

EXECUTOR_GRACE = 2.0
"""Seconds that the processes of an idle executor get to end, times the load per processor."""

THREAD_GRACE = 0.1
"""Seconds that a thread gets which was told to end, and not waited for."""

_threading: dict[str, Any] = {}
"""What `threading` knows of threads: its own functions for that call what a test may have replaced."""

_is_prepared = False


def take_hold() -> None:
    """Before a test runs, which may replace them, take hold of what looks for its threads after it.

    `threading` is not imported for that: what it does in each fork costs as much as a short test.
    """
    threading = sys.modules.get("threading")
    if isinstance(threading, ModuleType) and not _threading:
        try:
            main, tables = threading.main_thread(), (threading._active, threading._limbo)
        except Exception:  # the first to import it was a test that left something else in its place
            return
        _threading.update(main=main, tables=tables)


def _known_threads() -> list[threading.Thread]:
    return [thread for table in _threading["tables"] for thread in list(table.values())]


def import_needed(work: Work) -> None:
    """Before any user code runs here: import what only some tests need. Later, a test's module might prevent it."""
    if isinstance(work, (RunFunction, RunTest)) and (isinstance(work, RunFunction) or work.settings.track_handles):
        from isolatedunit.handles import tracker  # noqa: F401
    if isinstance(work, RunTest) and (work.settings.hunt_leaks or work.settings.memory_growth_limit is not None):
        from isolatedunit.child import leak_hunt  # noqa: F401


def prepare(work: Work) -> None:
    """In a template, before it forks a child for *work*: do what each child would have to do in its place."""
    global _is_prepared
    is_call = isinstance(work, RunFunction)
    if _is_prepared or not (is_call or work.settings.track_handles):
        return
    _is_prepared = True
    if is_call:  # which is always tracked
        from isolatedunit.child import function

        function.rehearse()
    from isolatedunit.handles import tracker

    tracker.prepare_forks()


def note_import() -> None:
    """In a template: it has imported something, so that what was prepared is out of date."""
    global _is_prepared
    _is_prepared = False


def make_tracker(settings: ChildSettings) -> HandleTracker | None:
    """What finds all that the tests leave open, and the lines that opened it; None where that is not wanted."""
    if not settings.track_handles:
        return None
    from isolatedunit.handles import tracker  # only here: most children do without

    made = tracker.HandleTracker(in_new_process=True)
    if not settings.shares_process:
        tracker.current = made
    return made


def limit(settings: ChildSettings) -> None:
    """Let the kernel hold this process to the CPU seconds, the descriptors and the memory of *settings*."""
    if resource is None:
        return
    if settings.cpu_limit is not None:
        # SIGXCPU at the limit; SIGKILL a second later, for who handles SIGXCPU
        soft = max(1, int(settings.cpu_limit + 0.999))
        _lower(resource.RLIMIT_CPU, soft, soft + 1)
    if settings.max_open_files is not None:
        # the runner's own have numbers above any limit that a test may be given
        _lower(resource.RLIMIT_NOFILE, settings.max_open_files, None)
    if settings.cgroup is not None:
        cgroups.join(settings.cgroup)
    if settings.memory_limit is not None and sys.platform == "linux":
        # the watcher counts what is resident, but it looks only now and then: this ends what grows faster
        private = _private_size() + MEMORY_HEADROOM * settings.memory_limit
        _lower(resource.RLIMIT_DATA, private, None)


def _lower(which: int, soft: int, hard: int | None) -> None:
    """Set a limit, but never above what it is already; *hard* None leaves the hard one."""
    now_soft, now_hard = resource.getrlimit(which)
    top = now_hard if hard is None else hard if now_hard == resource.RLIM_INFINITY else min(hard, now_hard)
    least = [one for one in (soft, now_soft, top) if one != resource.RLIM_INFINITY]
    resource.setrlimit(which, (min(least), top))


def _private_size() -> int:
    try:
        with open("/proc/self/status", "rb") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(b"VmData:"))
    except (OSError, ValueError, StopIteration):
        return 0


def peak_rss() -> int | None:
    """The most memory, in bytes, that this process had resident; None where the system hides it.

    From ``/proc`` and not from ``getrusage``, whose figure for a spawned process begins with the
    size of the process that spawned it.
    """
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def is_clean() -> bool:
    """Whether no thread but this one runs and nothing is registered for the exit."""
    return _thread._count() == 0 and atexit._ncallbacks() == 0


def what_a_fork_loses() -> str | None:
    """What this process has that no fork of it would have; None if there is nothing."""
    take_hold()
    threads = [str(one.name) for one in _known_threads() if one is not _threading["main"]] if _threading else []
    if threads:
        return f"a thread running ({', '.join(threads)})"
    if _thread._count():
        return "a thread running"
    events: Any = sys.modules.get("_asyncio")
    if events is not None and events._get_running_loop() is not None:
        return "an event loop running"
    return None


def run_exit_functions() -> None:
    """What the interpreter would do at its exit, when it has waited for its threads: see `let_threads_end`."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        try:
            sys.excepthook(*sys.exc_info())
        except BaseException:  # that one is anybody's, too
            return


def let_threads_end(timeout: float | None) -> None:
    """Give executors, and threads that are about to end, the time to: the interpreter has no limit for that.

    That is at most a quarter of *timeout*, the seconds that all of the cleanup may take.

    Of threads it matters where multiprocessing is in use. Its function for the exit forgets which descriptors belong to
    the processes that it started, so that whoever frees one of them after it leaves its pipes open.
    """
    let_executors_end(timeout)
    take_hold()
    if not _threading or not any(name in sys.modules for name in ("multiprocessing.util", "multiprocess.util")):
        return
    try:
        deadline = time.monotonic() + THREAD_GRACE * processes.load_per_processor()
        while time.monotonic() < deadline:
            known = _known_threads()
            # a thread that has left `threading` still frees what it held
            if _thread._count() < len(known) and not any(map(_outlives_its_test, known)):
                break
            time.sleep(0.001)
    except Exception:  # a test may have left anything in the place of threads
        return


def find_threads() -> list[dict[str, str]]:
    """The threads that are left, as leaks; they end with the process."""
    take_hold()  # of what the test itself was the first to import
    if not _threading:
        return []
    deadline = time.monotonic() + THREAD_GRACE
    while True:
        left = [thread for thread in _known_threads() if _outlives_its_test(thread)]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.002)
    return [{"kind": "thread", "identity": _describe(thread)} for thread in left]


def _outlives_its_test(thread: threading.Thread) -> bool:
    # a daemon thread is one that the interpreter does not wait for at its exit either
    return thread is not _threading["main"] and not thread.daemon and thread.is_alive()


def _describe(thread: threading.Thread) -> str:
    target = getattr(thread, "_target", None)
    name = getattr(target, "__qualname__", None)
    return f"{thread.name} ({name})" if name and f"({name}" not in thread.name else thread.name


def let_executors_end(timeout: float | None) -> None:
    """Tell idle workers of executors to end, as the interpreter does at its exit before it does anything else.

    Those of a ``ProcessPoolExecutor`` do not end by themselves, and multiprocessing waits for them.
    """
    of_threads: Any = sys.modules.get("concurrent.futures.thread")
    of_processes: Any = sys.modules.get("concurrent.futures.process")
    try:
        if of_threads is not None:
            of_threads._shutdown = True
            for queue in list(of_threads._threads_queues.values()):
                queue.put(None)
        if of_processes is not None:
            of_processes._global_shutdown = True
            managers = dict(of_processes._threads_wakeups)
            for waking in managers.values():
                waking.wakeup()
            # before multiprocessing closes the queue over which a manager tells its workers
            grace = EXECUTOR_GRACE * processes.load_per_processor()
            deadline = time.monotonic() + (grace if timeout is None else min(grace, timeout / 4))
            for manager in managers:
                manager.join(max(0.0, deadline - time.monotonic()))
    except Exception:  # a test may have left anything in their place
        return
