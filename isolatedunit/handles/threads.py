"""Threads and timers that still run, and tasks that are not done."""

from __future__ import annotations

import gc
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from typing import Any

_hold: dict[str, Any] = {}
_referrers_of = gc.get_referrers


def _threading() -> dict[str, Any]:
    """What is needed of `threading`, as it was when first seen; empty while nobody has imported it."""
    if not _hold:
        module = sys.modules.get("threading")
        if isinstance(module, types.ModuleType) and hasattr(module, "Timer"):
            _hold.update(enumerate=module.enumerate, main_thread=module.main_thread, Timer=module.Timer)
    return _hold


def running_threads() -> list[threading.Thread]:
    """The threads that somebody has to wait for: no daemons, and none that asyncio or an exit will end."""
    hold = _threading()
    if not hold:
        return []
    main = hold["main_thread"]()
    return [
        thread
        for thread in hold["enumerate"]()
        if thread is not main and not thread.daemon and thread.is_alive() and not _is_of_asyncio(thread)
    ]


def _is_of_asyncio(thread: threading.Thread) -> bool:
    """Whether it is an idle worker of a loop's default executor, which that loop's end ends."""
    futures = sys.modules.get("concurrent.futures.thread")
    return thread.name.startswith("asyncio_") and thread in getattr(futures, "_threads_queues", ())


def describe(thread: threading.Thread) -> tuple[str, str]:
    """Kind and identity: the thread's name and what it runs."""
    function = getattr(thread, "function", None)
    if isinstance(thread, _threading()["Timer"]):
        return "timer", f"{thread.name} ({_name_of(function)} after {getattr(thread, 'interval', 0):g} s)"
    name = _name_of(getattr(thread, "_target", None))
    return "thread", thread.name if not name or f"({name}" in thread.name else f"{thread.name} ({name})"


def _name_of(function: object) -> str:
    name = getattr(function, "__qualname__", None) or getattr(type(function), "__qualname__", "")
    return "" if function is None else str(name)


def tell_to_end(thread: threading.Thread) -> None:
    """Cancel a timer. Nobody can end another thread; it ends with the process, if not before."""
    if isinstance(thread, _threading()["Timer"]):
        thread.cancel()


def pending_tasks() -> list[Any]:
    """The tasks of asyncio that are not done, of closed loops too; none where asyncio is not imported."""
    module = sys.modules.get("asyncio.tasks")
    found: list[Any] = []
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):  # until 3.11, and since
        tasks = getattr(module, name, None)
        for _ in range(3):  # another thread may add one meanwhile
            try:
                found += [task for task in tasks or () if not task.done() and task not in found]
                break
            except RuntimeError:
                continue
    return found + [task for task in _tasks_of_c() if not task.done() and task not in found]


def _tasks_of_c() -> list[Any]:
    """The tasks that are in lists of asyncio's C part only, as they are from Python 3.14 on.

    It can be asked for those of one loop, but not which loops there are. An object refers to its class, so that these
    are found as the collector of garbage would find them, without a page being written to.
    """
    if not hasattr(sys.modules.get("asyncio.tasks"), "_c_all_tasks"):
        return []
    kinds: list[type] = [sys.modules["_asyncio"].Task]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return [task for task in _referrers_of(*kinds) if type(task) in kinds]


def describe_task(task: Any) -> tuple[str, tuple[str, int, str] | None]:
    """Identity of a task, and the line that it stands at."""
    coroutine = task.get_coro()
    name = f"{task.get_name()} ({getattr(coroutine, '__qualname__', type(coroutine).__qualname__)})"
    frame = getattr(coroutine, "cr_frame", None)
    if frame is None:
        return name, None
    return name, (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
