"""Finds and describes threads and timers that still run, and asyncio tasks that are not done."""

from __future__ import annotations

import gc
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable
    from typing import Any

_hold: dict[str, Any] = {}
_referrers_of = gc.get_referrers


def _threading() -> dict[str, Any]:
    """The parts of `threading` used here, as first seen, since a test may patch them; empty if it is not imported."""
    if not _hold:
        module = sys.modules.get("threading")
        if isinstance(module, types.ModuleType) and hasattr(module, "Timer"):
            _hold.update(enumerate=module.enumerate, main_thread=module.main_thread, Timer=module.Timer)
    return _hold


def running_threads() -> list[threading.Thread]:
    """The running threads that count as leaks: no daemons, and none that asyncio or the exit will end."""
    hold = _threading()
    return only_leaks(hold["enumerate"]()) if hold else []


def only_leaks(some: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Those of *some* threads that run and count as leaks."""
    main = _threading()["main_thread"]()
    return [
        thread
        for thread in some
        if thread is not main and not thread.daemon and thread.is_alive() and not _is_of_asyncio(thread)
    ]


def _is_of_asyncio(thread: threading.Thread) -> bool:
    """Whether *thread* is a worker of an event loop's default executor, which ends with that loop."""
    futures = sys.modules.get("concurrent.futures.thread")
    return thread.name.startswith("asyncio_") and thread in getattr(futures, "_threads_queues", ())


def describe(thread: threading.Thread) -> tuple[str, str]:
    """The thread's kind and its identity, which is its name and the function that it runs."""
    function = getattr(thread, "function", None)
    if isinstance(thread, _threading()["Timer"]):
        return "timer", f"{thread.name} ({_name_of(function)} after {getattr(thread, 'interval', 0):g} s)"
    name = _name_of(getattr(thread, "_target", None))
    return "thread", thread.name if not name or f"({name}" in thread.name else f"{thread.name} ({name})"


def _name_of(function: object) -> str:
    name = getattr(function, "__qualname__", None) or getattr(type(function), "__qualname__", "")
    return "" if function is None else str(name)


def cancel_timer(thread: threading.Thread) -> None:
    """Cancel a timer. Any other thread cannot be ended from outside: it ends with the process, if not before."""
    if isinstance(thread, _threading()["Timer"]):
        thread.cancel()


def pending_tasks() -> list[Any]:
    """The asyncio tasks that are not done, including those of closed loops; empty if asyncio is not imported."""
    module = sys.modules.get("asyncio.tasks")
    found: list[Any] = []
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):  # the first until Python 3.11, the others since
        tasks = getattr(module, name, None)
        for _ in range(3):  # trap: another thread may add a task while the set is copied, which raises
            try:
                found += [task for task in tasks or () if not task.done() and task not in found]
                break
            except RuntimeError:
                continue
    return found + [task for task in _tasks_of_c() if not task.done() and task not in found]


def _tasks_of_c() -> list[Any]:
    """The tasks that only the C implementation of asyncio lists, as it does from Python 3.14 on.

    asyncio lists the tasks of a given loop, but not the loops. Every object refers to its class, so the garbage
    collector can find the tasks as referrers of theirs, without writing to any memory page.
    """
    if not hasattr(sys.modules.get("asyncio.tasks"), "_c_all_tasks"):
        return []
    kinds: list[type] = [sys.modules["_asyncio"].Task]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return [task for task in _referrers_of(*kinds) if type(task) in kinds]


def describe_task(task: Any) -> tuple[str, tuple[str, int, str] | None]:
    """The identity of a task, and the line at which it is waiting."""
    coroutine = task.get_coro()
    name = f"{task.get_name()} ({getattr(coroutine, '__qualname__', type(coroutine).__qualname__)})"
    frame = getattr(coroutine, "cr_frame", None)
    if frame is None:
        return name, None
    return name, (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
