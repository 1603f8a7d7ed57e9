"""Finds the running children of this process, describes them and ends them."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time

from isolatedunit.handles.origins import is_of_installed_package
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# trap: a test may patch these functions in their modules
_clock, _sleep, _open, _listdir = time.monotonic, time.sleep, open, os.listdir
_referrers_of = gc.get_referrers
_DEEPEST_HOLDER = 3
"""A pool's process is in a list, which is in a dictionary of the pool's attributes."""

TERMINATE_GRACE = 0.5
"""The longest time in seconds that a leaked process gets to end after SIGTERM."""

_ENDED = (b"Z", b"X", b"x")


def running_children() -> set[int]:
    """The children of this process that have not ended. It reaps none of them, since the test may wait for them."""
    helpers = _helpers_of_multiprocessing()
    return {child for child in _children() if child not in helpers and not _has_ended(child)}


def _children() -> list[int]:
    if sys.platform == "linux":
        return processes.children_of_this_process()
    return processes.children_of(os.getpid())


def _helpers_of_multiprocessing() -> set[int]:
    """The helper processes that multiprocessing keeps until this process ends."""
    found: set[int] = set()
    for package in ("multiprocessing", "multiprocess"):
        tracker = getattr(sys.modules.get(f"{package}.resource_tracker"), "_resource_tracker", None)
        server = getattr(sys.modules.get(f"{package}.forkserver"), "_forkserver", None)
        for number in (getattr(tracker, "_pid", None), getattr(server, "_forkserver_pid", None)):
            if type(number) is int:
                found.add(number)
    return found


def joined_at_exit() -> set[int]:
    """The children that multiprocessing waits for at the exit: running ones that are not daemons."""
    found: set[int] = set()
    for package in ("multiprocessing", "multiprocess"):
        for process in list(getattr(sys.modules.get(f"{package}.process"), "_children", ())):
            number = getattr(getattr(process, "_popen", None), "pid", None)
            if type(number) is int and process._parent_pid == os.getpid() and not process.daemon:
                found.add(number)
    return {child for child in found if not _has_ended(child)}


def managed_by_libraries() -> set[int]:
    """The children that a pool, an executor, a manager or an object of an installed package has started for itself."""
    found: set[int] = set()
    for package in ("multiprocessing", "multiprocess"):
        for process in list(getattr(sys.modules.get(f"{package}.process"), "_children", ())):
            number = getattr(getattr(process, "_popen", None), "pid", None)
            if type(number) is int and _is_held_by_library(process):
                found.add(number)
    return found


def _is_held_by_library(process: Any) -> bool:
    """Whether an object of a library, and not only the user's code, refers to the process, in a list or the like."""
    holders: list[Any] = [process]
    for _ in range(_DEEPEST_HOLDER):
        holders = [holder for held in holders for holder in _referrers_of(held) if holder is not holders]
        if any(_is_of_library(type(holder)) for holder in holders):
            return True
        holders = [holder for holder in holders if type(holder) in (dict, list, set, tuple)]
    return False


def _is_of_library(cls: type) -> bool:
    module = str(cls.__module__)
    if module.startswith(("multiprocessing.", "multiprocess.", "concurrent.futures.")):
        return all(base.__name__ != "BaseProcess" for base in cls.__mro__)
    return is_of_installed_package(getattr(sys.modules.get(module), "__file__", None))


def _stat_of(process_id: int) -> list[bytes]:
    """The fields of the process's ``stat`` from its state on; empty where there is none."""
    try:
        with _open(f"/proc/{process_id}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _has_ended(process_id: int) -> bool:
    fields = _stat_of(process_id)
    if fields:
        return fields[0] in _ENDED
    if sys.platform == "linux":
        return True
    return processes.parent_of(process_id) is None


def started_at(process_id: int) -> float | None:
    """The start time of the process in seconds since boot; None if it is unknown."""
    fields = _stat_of(process_id)
    try:
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (IndexError, ValueError, OSError, AttributeError):
        return None


def tree_of(process_id: int) -> list[int]:
    """The ids of the process and all its descendants that have not ended."""
    found = [process_id]
    for parent in found:
        if sys.platform != "linux":
            found += [child for child in processes.children_of(parent) if child not in found]
            continue
        try:
            for task in _listdir(f"/proc/{parent}/task"):
                with _open(f"/proc/{parent}/task/{task}/children", "rb") as file:
                    found += [child for child in map(int, file.read().split()) if child not in found]
        except OSError:
            continue
    return [member for member in found if not _has_ended(member)]


def describe(process_id: int) -> str:
    """The process as text: its command line, its name in multiprocessing if it has one, and its id."""
    command = processes.describe_process(process_id)["command"] or "?"
    if command == processes.describe_process(os.getpid())["command"]:
        command = "a fork of the test's process"
    name = _name_in_multiprocessing(process_id)
    return f"{command} ({f'{name}, ' if name else ''}process {process_id})"


def _name_in_multiprocessing(process_id: int) -> str:
    for package in ("multiprocessing", "multiprocess"):
        children: Any = getattr(sys.modules.get(f"{package}.process"), "_children", ())
        for process in list(children):
            popen = getattr(process, "_popen", None)
            if getattr(popen, "pid", None) == process_id:
                return str(process.name)
    return ""


def end(process_ids: list[int], timeout: float) -> tuple[set[int], set[int]]:
    """End processes within *timeout* seconds; returns those that are gone, and which of them needed SIGKILL."""
    for process_id in process_ids:
        processes.send_signal(process_id, signal.SIGTERM)
    left = _wait_for_end(set(process_ids), min(timeout / 2, TERMINATE_GRACE))
    forced = set(left)
    for process_id in left:
        processes.send_signal(process_id, processes.SIGKILL)
    left = _wait_for_end(left, timeout / 2)
    return set(process_ids) - left, forced - left


def _wait_for_end(process_ids: set[int], timeout: float) -> set[int]:
    deadline = _clock() + timeout
    while True:
        left = {process_id for process_id in process_ids if not _has_ended(process_id)}
        if not left or _clock() > deadline:
            return left
        _sleep(0.002)
