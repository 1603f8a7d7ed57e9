"""`HandleTracker` compares a process before and after a test, and closes what the test left open."""

from __future__ import annotations

import _thread
import gc
import os
import sys
import time

from isolatedunit.handles import descriptors, processes, threads
from isolatedunit.handles.endings import DescriptorEnd, LoopEnd, ProcessEnd, TemporaryEnd, ThreadEnd, cannot_end
from isolatedunit.handles.leaving import Leaving
from isolatedunit.handles.origins import Ledger, close_ledger, find_origin, format_origin, open_ledger
from isolatedunit.handles.result import HandleCleanupResult
from isolatedunit.handles.state import State
from isolatedunit.system.durations import to_seconds
from isolatedunit.system.grace import WAITS, Grace, times_waited
from isolatedunit.system.processes import load_per_processor, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence, Set
    from datetime import timedelta
    from types import TracebackType
    from typing import Any, TypeVar

    from isolatedunit.handles.namespaces import Snapshot
    from isolatedunit.handles.origins import Origin
    from isolatedunit.handles.project_state import ProjectState

    T = TypeVar("T")

GRACE = 0.5
"""Seconds to wait for something that is about to end by itself: see `Grace`."""

DEFAULT_TIMEOUT = 10.0
"""The default limit of `HandleTracker.finish`, in seconds."""

current: HandleTracker | None = None
"""In a child that runs one test, the tracker that the runner's code started for it; None elsewhere."""

_NONE: Set[int] = frozenset()
_clock, _sleep = time.monotonic, time.sleep  # trap: a test may patch these functions in their module
_lexists = os.path.lexists
_count_threads = _thread._count


class _Tracked:
    """A handle that the test registered by `HandleTracker.track`."""

    __slots__ = ("close", "handle", "identity", "kind", "origin")

    def __init__(self, handle: Any, close: Callable[[], Any] | None, kind: str, identity: str, origin: Origin) -> None:
        self.handle = handle
        self.close = close
        self.kind = kind
        self.identity = identity
        self.origin = origin


class _Leak:
    """Something left open. *end* closes it within a number of seconds, returns False if it took force; may raise."""

    __slots__ = ("end", "identity", "kind", "origin")

    def __init__(self, kind: str, identity: str, origin: Origin, end: Callable[[float], bool | None]) -> None:
        self.kind = kind
        self.identity = identity
        self.origin = origin
        self.end = end


class _Suspects:
    """What is open now and was not open before. Not all of it need be a leak."""

    def __init__(self) -> None:
        self.children: set[int] = set()
        self.threads: list[Any] = []
        self.descriptors: dict[int, descriptors.Identity] = {}
        self.tasks: list[Any] = []
        self.temporary: list[str] = []
        self.tracked: list[_Tracked] = []

    def __bool__(self) -> bool:
        return bool(self.children or self.threads or self.descriptors or self.tasks or self.temporary or self.tracked)

    @property
    def may_end(self) -> bool:
        """Whether any of it may end by itself, so that waiting can help."""
        return bool(self.children or self.threads or (self and _count_threads()))


class Baseline:
    """What a process has open before a test, and the state that it is in."""

    def __init__(self, *, in_new_process: bool) -> None:
        self.modules = len(sys.modules)
        self.state = State(is_new_process=in_new_process)
        self.threads = threads.running_threads()
        self.tasks = threads.pending_tasks()
        self.children: set[int] = set() if in_new_process else processes.running_children()
        self.descriptors = descriptors.open_descriptors()
        self.glance = descriptors.Glance(self.descriptors, descriptors.RUNNERS_DESCRIPTORS) if in_new_process else None


_inherited: Baseline | None = None


def prepare_forks(times: int = 8) -> None:
    """Take the baseline in a template for the trackers of its forks, which then copy fewer memory pages.

    It also runs a tracker *times* times. Trap: Python rewrites (specialises) code that has run a few times, and
    each fork would copy the pages of that code.
    """
    global _inherited
    for _ in range(times):
        tracker = HandleTracker(in_new_process=True)
        tracker.start()
        tracker.is_clean()
        tracker.finish().to_dict()
    _inherited = Baseline(in_new_process=True)
    _inherited.modules = len(sys.modules)  # counted only now: taking the first baseline imports modules


def renew_surroundings() -> None:
    """Have the baseline that `prepare_forks` took say where this process is now."""
    if _inherited is not None:
        _inherited.state.renew_surroundings()


class HandleTracker:
    """Finds what was opened between `start` and `finish` and is still open, and closes it.

    It is also a context manager, whose `result` is available after the block. What the process had
    open before `start` is never a leak. *in_new_process* says that the runner made the process for
    this test, with its own descriptors at high numbers. Any thread may call `track` and `untrack`
    and open handles; call `start` and `finish` in the same thread.

    *namespaces* names modules and packages: what changes in their attributes, and in those of their classes, instances
    and containers, is then among the result's ``state_changes``, too. No code of theirs runs to see that. With
    *project*, a folder, what stays changed in the attributes of its modules and classes, and in the process, is a leak
    of the kind ``state``.
    """

    def __init__(
        self, *, in_new_process: bool = False, namespaces: Sequence[str] = (), project: str | None = None
    ) -> None:
        self.result: HandleCleanupResult | None = None
        self.failure: BaseException | None = None
        """Why it could not be started, in a child whose tests run all the same."""
        self._namespaces = (namespaces,) if isinstance(namespaces, str) else tuple(namespaces)
        self._snapshot: Snapshot | None = None
        self._project = project
        self._project_state: ProjectState | None = None
        self._is_new_process = in_new_process
        self._runners_from = descriptors.RUNNERS_DESCRIPTORS if in_new_process else None
        self._lock = _thread.allocate_lock()
        self._tracked: dict[int, _Tracked] = {}
        self._registered = 0
        self._closed_for_test = 0
        self._ledger: Ledger | None = None
        self._baseline: Baseline | None = None
        self._ended: list[_Leak] = []
        self._own_directories: list[str] = []
        self._lasting: list[_Leak] = []
        self._cleaned = self._forced = 0

    # ---- handles that a test registers

    def track(
        self,
        handle: T,
        close: Callable[[], Any] | None = None,
        kind: str | None = None,
        identity: str | None = None,
    ) -> T:
        """Watch *handle* and return it.

        With *close*, a function without arguments, the tracker closes the handle at the end, and it
        is a leak only if that fails. Without *close*, it is a leak unless the test has closed it by then
        (as its ``closed``, ``is_closed()``, ``is_alive()``, ``poll()`` or ``fileno()`` shows) or called
        `untrack`. Reports name it by *kind* (default: ``handle``) and *identity* (default: its type's name).
        """
        name = f"{type(handle).__module__}.{type(handle).__qualname__}".removeprefix("builtins.")
        tracked = _Tracked(handle, close, kind or "handle", identity or name, find_origin(sys._getframe(1)))
        with self._lock:
            self._tracked[id(handle)] = tracked
            self._registered += 1
        return handle

    def untrack(self, handle: object) -> None:
        """Stop watching *handle*; has no effect if it is not tracked."""
        with self._lock:
            self._tracked.pop(id(handle), None)

    def remove_at_end(self, directory: str) -> None:
        """Remove *directory* when the look is over. It is no leak itself, as what the test made and left in it is."""
        self._own_directories.append(directory)

    # ---- before and after the test

    def start(self) -> HandleTracker:
        """Record what is open now as the baseline, and from now on every handle that is made."""
        self.result = None
        self._baseline = _inherited if self._is_new_process else None
        if self._baseline is None or self._baseline.modules != len(sys.modules):
            # trap: a module imported in this process, and not in the template, may have opened something
            self._baseline = Baseline(in_new_process=self._is_new_process)
        self._baseline.state.renew()
        if self._namespaces:
            from isolatedunit.handles.namespaces import Snapshot  # few want it, and every child would pay for it

            self._snapshot = Snapshot(names=self._namespaces)
        if self._project is not None:
            from isolatedunit.handles.project_state import ProjectState

            self._project_state = ProjectState(self._project)
        self._ledger = open_ledger()
        return self

    def note_fixtures(self) -> None:
        """Note that fixtures are set up: what they have changed is no doing of the test."""
        if self._project_state is not None:
            self._project_state.note_fixtures()

    def note_surroundings(self) -> None:
        """Record environment, current directory and ``sys.path`` anew: the runner has just set them."""
        if self._baseline is not None and self._ledger is not None:
            self._baseline.state.renew_surroundings()
            self._ledger.environment_touched = False

    def is_clean(self) -> bool:
        """Whether nothing new is open now, not even something that is about to end by itself."""
        return not self._look(self._ledger)

    def leaving(self, timeout: float | None = DEFAULT_TIMEOUT) -> Leaving:
        """A context for the exit functions: a child that they wait for in vain is reported as a leak, and ended."""
        longest = GRACE * load_per_processor()
        longest = longest if timeout is None else min(longest, timeout / 2)
        return Leaving(
            lambda: Grace(GRACE, longest, lambda: times_waited(processes.joined_at_exit(), ready=WAITS)),
            self._end_children,
        )

    def _end_children(self, children: set[int]) -> None:
        suspects = _Suspects()
        suspects.children = children
        leaks = list(_describe_running(suspects, self._ledger or Ledger()))
        cleaned, forced = _end(leaks, _clock() + DEFAULT_TIMEOUT)
        self._ended += leaks
        self._cleaned += cleaned
        self._forced += forced

    def note_threads(self, lasting: Sequence[threading.Thread]) -> None:
        """Take these threads for leaks, but for those of the baseline, even if they end before `finish` is called."""
        if self._baseline is None:
            return
        suspects = _Suspects()
        known = self._baseline.threads
        suspects.threads = [one for one in threads.only_leaks(lasting) if not any(one is other for other in known)]
        self._lasting += _describe_running(suspects, self._ledger or Ledger())
        self._baseline.threads = [*known, *suspects.threads]

    def finish(self, timeout: float | timedelta | None = DEFAULT_TIMEOUT) -> HandleCleanupResult:
        """Find what is still open and close it, within *timeout*, seconds or a ``timedelta`` (None: no limit).

        What is about to end by itself gets `GRACE` to do so. A second call returns the same result. Without
        a `start`, only the handles given to `track` are checked.
        """
        if self.result is not None:
            return self.result
        seconds = to_seconds(timeout, "finish")
        deadline = _clock() + (float("inf") if seconds is None else seconds)
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            close_ledger(ledger)
        failed = self._close_what_was_handed_over(deadline)
        leaks = [*failed, *self._lasting, *self._find_leaks(ledger, deadline)]
        before = self._baseline
        changes = []
        if before is not None and ledger is not None:
            changes = before.state.changes_since(environment_touched=ledger.environment_touched)
        if self._project_state is not None:
            from isolatedunit.handles.project_state import identities_of

            changes += self._project_state.changes()
            leaks += [_Leak("state", identity, None, cannot_end) for identity in identities_of(changes)]
        if self._snapshot is not None:
            changes += self._snapshot.describe_changes()
        made = self._registered + (0 if ledger is None else next(ledger.made))
        cleaned, forced = _end(leaks, deadline)
        while self._own_directories:
            remove_tree(self._own_directories.pop())
        leaks = [*self._ended, *leaks]
        by_kind: dict[str, int] = {}
        for leak in leaks:
            by_kind[leak.kind] = by_kind.get(leak.kind, 0) + 1
        self.result = HandleCleanupResult(
            opened=max(made, len(leaks)),
            closed=max(made - len(leaks), 0),
            leaked=len(leaks),
            cleaned=self._cleaned + cleaned,
            forced=self._forced + forced,
            by_kind=by_kind,
            leaks=tuple(
                {"kind": leak.kind, "identity": leak.identity, "origin": format_origin(leak.origin)} for leak in leaks
            ),
            state_changes=tuple(changes),
        )
        self._forget()
        return self.result

    def _forget(self) -> None:
        """Drop every reference to the test's objects, so that the tracker keeps none of them alive."""
        self._baseline = self._snapshot = self._project_state = None
        with self._lock:
            self._tracked.clear()

    def __enter__(self) -> HandleTracker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    # ---- finding what is left open

    def _close_what_was_handed_over(self, deadline: float) -> list[_Leak]:
        """Call each ``close`` that `track` was given, the latest first; a handle whose ``close`` fails is a leak."""
        with self._lock:
            handed = [tracked for tracked in self._tracked.values() if tracked.close is not None]
            for tracked in handed:
                del self._tracked[id(tracked.handle)]
        failed = []
        for tracked in reversed(handed):
            identity = tracked.identity
            try:
                if _clock() > deadline:
                    raise TimeoutError("there was no time left to close it")
                if tracked.close is not None and _is_open(tracked.handle) is not False:
                    tracked.close()
                continue
            except Exception as exception:
                identity = f"{identity} (closing it failed: {exception!r:.200})"
            failed.append(_Leak(tracked.kind, identity, tracked.origin, cannot_end))
        return failed

    def _find_leaks(self, ledger: Ledger | None, deadline: float) -> list[_Leak]:
        suspects = self._look(ledger)
        if not suspects:
            return []
        gc.collect()  # trap: a handle kept only by a reference cycle is no leak, since Python would close it later
        suspects = self._look(ledger)
        # wait at most half of the time: the rest is needed to end what does not end by itself
        longest = min((deadline - _clock()) / 2, GRACE * load_per_processor())
        grace = Grace(GRACE, longest, lambda: times_waited({os.getpid(), *suspects.children}, ready=WAITS), _clock)
        while suspects.may_end and not grace.is_over():
            _sleep(0.002)
            suspects = self._look(ledger)
        if not suspects:
            return []
        return self._describe(suspects, ledger or Ledger(), descriptors.Owners())

    def _look(self, ledger: Ledger | None) -> _Suspects:
        suspects = _Suspects()
        with self._lock:
            suspects.tracked = [tracked for tracked in self._tracked.values() if _is_open(tracked.handle) is not False]
        before = self._baseline
        if ledger is None or before is None:
            return suspects
        if ledger.processes:
            suspects.children = processes.running_children() - before.children
        known = {id(thread) for thread in before.threads}
        suspects.threads = [thread for thread in threads.running_threads() if id(thread) not in known]
        if before.glance is None or not before.glance.shows_the_same():
            suspects.descriptors = descriptors.new_descriptors(before.descriptors, self._runners_from)
        if suspects.descriptors:
            for held in descriptors.held_by_multiprocessing():
                suspects.descriptors.pop(held, None)
        suspects.tasks = [task for task in threads.pending_tasks() if task not in before.tasks]
        suspects.temporary = [
            path
            for path in ledger.temporary
            if path not in self._own_directories and _lexists(path) and not _is_of_multiprocessing(path)
        ]
        return suspects

    def _find_spared(self, suspects: _Suspects) -> Set[int]:
        """The children to report and not to end: in the user's own process, those that a library manages.

        Trap: a worker that ends while it holds a lock of its pool's makes the pool wait for that lock for ever.
        """
        return processes.managed_by_libraries() if suspects.children and not self._is_new_process else _NONE

    def _describe(self, suspects: _Suspects, ledger: Ledger, owners: descriptors.Owners) -> list[_Leak]:
        return [
            *(_Leak(tracked.kind, tracked.identity, tracked.origin, cannot_end) for tracked in suspects.tracked),
            *_describe_running(suspects, ledger, spared=self._find_spared(suspects)),
            *_describe_open(suspects.descriptors, ledger, owners),
            *(
                _Leak("temporary", path, ledger.temporary[path], TemporaryEnd(path))
                for path in suspects.temporary
                if not any(path.startswith(other + os.sep) for other in suspects.temporary)
            ),
        ]


def _describe_running(suspects: _Suspects, ledger: Ledger, spared: Set[int] = _NONE) -> Iterator[_Leak]:
    for child in sorted(suspects.children):
        origin = ledger.process_origin(child, processes.started_at(child))
        for process in processes.tree_of(child):
            end = cannot_end if child in spared else ProcessEnd(process)
            yield _Leak("process", processes.describe(process), origin, end)
    for thread in suspects.threads:
        kind, identity = threads.describe(thread)
        yield _Leak(kind, identity, ledger.thread_origin(thread), ThreadEnd(thread))
    for task in suspects.tasks:
        identity, origin = threads.describe_task(task)
        yield _Leak("task", identity, origin, cannot_end)


def _describe_open(
    found: dict[int, descriptors.Identity], ledger: Ledger, owners: descriptors.Owners
) -> Iterator[_Leak]:
    left = dict(found)
    for loop in owners.loops:
        own = descriptors.of_loop(loop) & left.keys()
        if own:
            for number in own:
                del left[number]
            origin = ledger.socket_origin(getattr(loop, "_ssock", None))
            yield _Leak("loop", type(loop).__qualname__, origin, LoopEnd(loop))
    for number, identity in left.items():
        described = descriptors.describe(number, identity, ledger, owners)
        if described is not None:
            yield _Leak(*described, DescriptorEnd(number, owners))


def _is_open(handle: Any) -> bool | None:
    """Whether the handle is open, by its own account; None if it has none of the usual attributes."""
    database: Any = getattr(sys.modules.get("sqlite3"), "Connection", None)
    if database is not None and isinstance(handle, database):
        try:
            return bool(handle.total_changes >= 0)
        except Exception:  # a closed sqlite3 connection has no attribute for that, but raises
            return False
    for name, when_open in (("closed", False), ("is_closed", False), ("is_alive", True), ("_closed", False)):
        try:
            value = getattr(handle, name)
            value = value() if callable(value) else value
        except Exception:
            continue
        if isinstance(value, bool):
            return value is when_open
    try:
        if callable(getattr(handle, "poll", None)) and hasattr(handle, "returncode"):
            return handle.poll() is None
        number = handle.fileno()
        return bool(number >= 0) if isinstance(number, int) else None
    except ValueError:
        return False
    except Exception:
        return None


def _is_of_multiprocessing(path: str) -> bool:
    """Whether *path* is the directory that multiprocessing makes for itself and removes at the exit."""
    for package in ("multiprocessing", "multiprocess"):
        process = getattr(sys.modules.get(f"{package}.process"), "_current_process", None)
        if path == getattr(process, "_config", {}).get("tempdir"):
            return True
    return False


def _end(leaks: list[_Leak], deadline: float) -> tuple[int, int]:
    """End the leaks that can be ended before *deadline*; returns how many were, and how many of these by force."""
    cleaned = forced = 0
    for leak in leaks:
        left = deadline - _clock()
        if left <= 0:
            break
        try:
            by_itself = leak.end(left)
        except Exception:
            continue
        if by_itself is not None:
            cleaned += 1
            forced += not by_itself
    return cleaned, forced
