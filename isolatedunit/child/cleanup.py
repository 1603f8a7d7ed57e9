"""Limits for a test, and the search for what it left behind in its process."""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import time
from types import ModuleType

from isolatedunit.protocol.messages import RunFunction, RunTest
from isolatedunit.system import cgroups
from isolatedunit.system.processes import load_per_processor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from typing import Any

    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.protocol.child_settings import ChildSettings
    from isolatedunit.protocol.messages import Work

try:
    import resource
except ImportError:  # Windows has no limits that a process sets for itself
    resource = None  # type: ignore[assignment]

MEMORY_HEADROOM = 2
"""How many times its memory limit a process may reserve: stacks of threads are reserved, and hardly used."""

BUSY_SHARE, IDLE_SHARE = 0.25, 0.5
"""What part of the time for the cleanup the processes of an executor get that has work, and all others that are left.

Idle ones end as soon as they get a processor: on a busy machine that takes long and says nothing about the test.
"""

THREAD_GRACE = 1.0
"""Seconds for a thread to end, multiplied by the load per processor; one that takes longer is a leak.

At most half of the time for the cleanup. A suite may have thousands of tests that leave a thread which never ends.
"""

FORGOTTEN_GRACE = 0.1
"""Seconds for a thread to end of which `threading` does not know (any more), multiplied by the load per processor."""

_threading: dict[str, Any] = {}
"""The thread tables of `threading`, its main thread, and what it calls at the exit. Its own functions call what a test
may have replaced."""

_is_prepared = False


def take_hold() -> None:
    """Take hold of the thread tables before a test runs, which may replace them.

    `threading` is not imported for this: what it does in each fork takes as long as a short test.
    """
    threading = sys.modules.get("threading")
    if isinstance(threading, ModuleType) and not _threading:
        try:
            main, tables = threading.main_thread(), (threading._active, threading._limbo)
            at_exit = getattr(threading, "_threading_atexits", ())
        except Exception:  # a test imported it first, and left something else in its place
            return
        _threading.update(main=main, tables=tables, at_exit=at_exit)


def renumber_main_thread() -> None:
    """In a fork: have `threading` know the system's number of this thread; Python before 3.13.1 keeps the parent's."""
    try:
        sys.modules["threading"]._main_thread._native_id = _thread.get_native_id()
    except Exception:  # nobody has imported it, or a module has put something else in its place
        return


def _known_threads() -> list[threading.Thread]:
    return [thread for table in _threading["tables"] for thread in list(table.values())]


def import_needed(work: Work) -> None:
    """Import what only some tests need, before any user code runs that might prevent it later."""
    if isinstance(work, (RunFunction, RunTest)) and (isinstance(work, RunFunction) or work.settings.track_handles):
        from isolatedunit.handles import tracker  # noqa: F401
    if isinstance(work, RunTest) and work.settings.track_state:
        from isolatedunit.handles import project_state  # noqa: F401
    if isinstance(work, RunTest) and (work.settings.hunt_leaks or work.settings.memory_growth_limit is not None):
        from isolatedunit.child import leak_hunt  # noqa: F401
    if isinstance(work, RunTest) and work.settings.isolation == "auto":
        from isolatedunit.child import tidiness  # noqa: F401
    if isinstance(work, RunTest) and any("place" in one["address"] for one in work.tests):
        from isolatedunit.collection import places  # noqa: F401


def prepare(work: Work, rehearse_call: Callable[[], None]) -> None:
    """In a template that is about to fork a child for *work*: do once what each child would have to do itself."""
    global _is_prepared
    is_call = isinstance(work, RunFunction)
    if isinstance(work, RunTest) and work.settings.isolation == "auto":
        from isolatedunit.child import tidiness

        tidiness.prepare()
    if _is_prepared or not (is_call or work.settings.track_handles):
        return
    _is_prepared = True
    from isolatedunit.handles import tracker

    try:
        if is_call:  # calls are always tracked
            rehearse_call()
        tracker.prepare_forks()
    except BaseException:  # an audit hook of the module's refuses it, as it will in each child
        return


def note_import() -> None:
    """In a template: it has imported something, so what was prepared is out of date."""
    global _is_prepared
    _is_prepared = False


def make_tracker(settings: ChildSettings) -> HandleTracker | None:
    """Make the tracker that finds what tests leave open, and which line opened it; None if not asked for."""
    if not settings.track_handles:
        return None
    from isolatedunit.handles import tracker  # only here: most children do without

    project = os.getcwd() if settings.track_state else None
    made = tracker.HandleTracker(in_new_process=True, project=project)
    if not settings.shares_process:
        tracker.current = made
    return made


def start(tracker: HandleTracker) -> HandleTracker:
    """Start the tracker. Where that fails, as an audit hook of the test's module refuses it, the tests run without."""
    try:
        return tracker.start()
    except BaseException as exception:
        tracker.failure = exception
        return tracker


def limit(settings: ChildSettings) -> None:
    """Have the kernel hold this process to the limits of CPU time, descriptors and memory in *settings*."""
    if resource is None:
        return
    if settings.cpu_limit is not None:
        # SIGXCPU at the limit, and SIGKILL a second later for tests that handle SIGXCPU
        soft = max(1, int(settings.cpu_limit + 0.999))
        _lower(resource.RLIMIT_CPU, soft, soft + 1)
    if settings.max_open_files is not None:
        # the runner's own descriptors have numbers above any such limit
        _lower(resource.RLIMIT_NOFILE, settings.max_open_files, None)
    if settings.cgroup is not None:
        cgroups.join(settings.cgroup)
    if settings.memory_limit is not None and sys.platform == "linux":
        # the runner looks at resident memory only now and then: this stops what grows faster
        private = _private_size() + MEMORY_HEADROOM * settings.memory_limit
        _lower(resource.RLIMIT_DATA, private, None)


def _lower(which: int, soft: int, hard: int | None) -> None:
    """Lower a limit, and never raise it; with *hard* None the hard limit stays."""
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
    """The peak resident memory of this process in bytes; None where the system hides it.

    From ``/proc`` and not from ``getrusage``, whose figure for a spawned process begins with the
    size of the process that spawned it.
    """
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except BaseException:  # a test's audit hook may refuse it
        return None
    return None


def what_a_fork_loses() -> str | None:
    """Say what this process has that a fork of it would lack; None if there is nothing."""
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


def run_exit_functions(timeout: float | None = None) -> list[dict[str, Any]]:
    """Run the exit functions, as the interpreter does at its exit after waiting for threads (`let_threads_end`).

    With *timeout*, the seconds that the whole cleanup may take, what multiprocessing would wait for without a limit is
    ended, and returned as leaks.
    """
    leaks: list[dict[str, Any]] = []
    try:
        endings = [] if timeout is None else _limit_multiprocessing(timeout, leaks)
        atexit._run_exitfuncs()
        for ending in endings:
            ending()  # does nothing a second time; in a fork of what has imported it, it is not registered
    except BaseException:
        try:
            sys.excepthook(*sys.exc_info())
        except BaseException:  # a test may have replaced that, too
            return leaks
    return leaks


def _limit_multiprocessing(timeout: float, leaks: list[dict[str, Any]]) -> list[Any]:
    """Have the exit functions of multiprocessing end what they would wait for, as *leaks*; returns these functions.

    They ask for the processes when those have ended that end by a finalizer, as a manager's does.
    """
    endings = []
    for name in ("multiprocessing.util", "multiprocess.util"):
        ending: Any = getattr(sys.modules.get(name), "_exit_function", None)
        code, defaults = getattr(ending, "__code__", None), getattr(ending, "__defaults__", None)
        names = () if code is None else code.co_varnames[: code.co_argcount]
        if defaults and len(defaults) == len(names) and "active_children" in names:
            place = names.index("active_children")

            def ask(ask_for_all: Any = defaults[place]) -> Any:
                leaks.extend(end_processes(timeout))
                return ask_for_all()

            ending.__defaults__ = (*defaults[:place], ask, *defaults[place + 1 :])
            endings.append(ending)
    return endings


def let_threads_end(timeout: float | None, note: Callable[[Sequence[threading.Thread]], None]) -> None:
    """Wait for executors and for threads, as the interpreter does at its exit: a thread may still end the process.

    The interpreter waits without a limit; here executors get a part of *timeout*, the seconds that the whole cleanup
    may take, and threads a short grace. *note* is called with those that outlast it.

    Trap: where multiprocessing is in use, a thread that `threading` has forgotten matters, too. The exit function of
    multiprocessing forgets which descriptors belong to the processes that it started, so a thread that frees such a
    process later would leave its pipes open.
    """
    managers = let_executors_end(timeout)
    take_hold()
    if not _threading:
        return
    _announce_exit()
    frees_processes = any(name in sys.modules for name in ("multiprocessing.util", "multiprocess.util"))
    load, began = load_per_processor(), time.monotonic()
    forgotten_until, until = began + FORGOTTEN_GRACE * load, began + THREAD_GRACE * load
    if timeout is not None:
        until = min(until, began + timeout / 2)
    try:
        while True:
            known, now = _known_threads(), time.monotonic()
            left = [one for one in known if _outlives_its_test(one) and not _is_among(one, managers)]
            if not left and (not frees_processes or _thread._count() < len(known) or now > forgotten_until):
                return
            if now > until:
                note(left)
                return
            time.sleep(0.001)
    except Exception:  # a test may have put anything in the place of a thread
        return


def _announce_exit() -> None:
    """Do what threads may wait for: call what `threading` calls at the exit, and have its main thread look ended.

    Trap: what `concurrent.futures` does there would wait without a limit; `let_executors_end` has done it.
    """
    try:
        for call in reversed(_threading["at_exit"]):
            parts = (
                getattr(call, "func", None),
                *(cell.cell_contents for cell in getattr(call, "__closure__", None) or ()),
            )
            if not any(str(getattr(part, "__module__", "")).startswith("concurrent.") for part in parts):
                call()
        main: Any = _threading["main"]
        if hasattr(main, "_handle"):  # from Python 3.13 on
            main._handle._set_done()
        elif main._tstate_lock.locked():
            main._tstate_lock.release()
            main._stop()
    except Exception:  # the function is the user's
        return


def find_threads(lasting: Sequence[threading.Thread] = ()) -> list[dict[str, str]]:
    """The threads in *lasting*, and all others that are left, as leaks; they end with the process."""
    take_hold()  # the test may have been the first to import it
    if not _threading:
        return []
    deadline = time.monotonic() + FORGOTTEN_GRACE
    while True:
        left = [one for one in _known_threads() if _outlives_its_test(one) and not _is_among(one, lasting)]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.002)
    return [{"kind": "thread", "identity": _describe(thread)} for thread in (*lasting, *left)]


def _is_among(thread: threading.Thread, others: Sequence[threading.Thread]) -> bool:
    return any(thread is other for other in others)


def _outlives_its_test(thread: threading.Thread) -> bool:
    # the interpreter does not wait for daemon threads at its exit either
    return thread is not _threading["main"] and not thread.daemon and thread.is_alive()


def _describe(thread: threading.Thread) -> str:
    target = getattr(thread, "_target", None)
    name = getattr(target, "__qualname__", None)
    return f"{thread.name} ({name})" if name and f"({name}" not in thread.name else thread.name


def let_executors_end(timeout: float | None) -> list[threading.Thread]:
    """Ask idle workers of executors to end, as the interpreter does first of all at its exit.

    The workers of a ``ProcessPoolExecutor`` do not end by themselves, and multiprocessing would wait for them. Returns
    the threads that manage these executors: they have been waited for.
    """
    waited_for: list[threading.Thread] = []
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
            # before multiprocessing closes the queue by which a manager reaches its workers
            began = time.monotonic()
            for manager in managers:
                waited_for.append(manager)
                share = BUSY_SHARE if getattr(manager, "pending_work_items", None) else IDLE_SHARE
                manager.join(None if timeout is None else max(0.0, began + timeout * share - time.monotonic()))
    except Exception:  # a test may have put anything in their place
        pass
    return waited_for


def end_processes(timeout: float) -> list[dict[str, Any]]:
    """End the processes of multiprocessing that do not end by themselves; returns them as leaks.

    Its exit function would wait for them without a limit, as the interpreter does, and nobody would know for what.
    """
    leaks: list[dict[str, Any]] = []
    try:
        deadline = time.monotonic() + timeout * (IDLE_SHARE - BUSY_SHARE)
        for process in _own_processes():
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                leaks.append({"kind": "process", "identity": f"{process.name} (process {process.pid})"})
                process.kill()
    except Exception:  # a test may have put anything in their place
        return leaks
    return leaks


def _own_processes() -> list[Any]:
    """The processes of multiprocessing that this process has started and will wait for."""
    modules = [sys.modules.get(name) for name in ("multiprocessing.process", "multiprocess.process")]
    found = [process for module in modules for process in tuple(getattr(module, "_children", ()))]
    return [process for process in found if process._parent_pid == os.getpid() and not process.daemon]
