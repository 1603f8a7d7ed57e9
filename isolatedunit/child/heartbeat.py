"""A thread that reports, once an interval, that Python code still gets to run in this process."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # what `signal` has in C: an enum is anybody's to patch
import _thread
import os
import sys
import time
import types

from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any


class _Later(types.ModuleType):
    """Stands for the module of this name, which is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(__import__(self.__name__), name)


def _import_ctypes() -> Any:
    """The module `ctypes`, or None where there is none, imported without `threading`.

    From Python 3.14 on it imports sysconfig, for one line that only Cygwin runs, and sysconfig imports `threading`,
    whose hooks would run in every fork.
    """
    later = _Later("sysconfig")
    given = sys.modules.setdefault("sysconfig", later)
    try:
        import ctypes
    except ImportError:
        return None
    finally:
        if given is later and sys.modules.get("sysconfig") is later:
            del sys.modules["sysconfig"]
    return ctypes


ctypes = _import_ctypes()  # now, since it must not be imported while a test runs

_MAX_BIRTH = 1.0
"""Seconds that the start of the thread is waited for, at most."""

_make_callback: Any = None
_start_thread: Any = None
if hasattr(ctypes, "pythonapi"):  # not on every implementation of Python
    _make_callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    _start_thread = ctypes.pythonapi.PyThread_start_new_thread

_armed: _Heartbeat | tuple[Callable[[], None], float] | None = None


class _Heartbeat:
    """Calls *beat* every *interval* seconds from a thread of its own, once `start` was called.

    A nudge from the runner starts it, not the child itself: a thread makes a short test's process half as slow again.
    Neither `threading` nor ``_thread._count()`` knows of the thread, since tests count theirs, and no signal reaches
    it, since tests block theirs. It ends before a fork, since Python 3.12 warns of forking with a second thread; the
    runner nudges again when it hears nothing.

    The trap: such a thread first allocates the state that Python keeps of it, without holding the interpreter's lock.
    If `tracemalloc` is on at that moment, and the test stops it meanwhile, the thread writes to freed memory
    (python/cpython#128679). `start` therefore returns only after that step: it runs in the test's own thread, which
    cannot stop anything in the meantime.
    """

    def __init__(self, beat: Callable[[], None], interval: float) -> None:
        self._beat = beat
        self._interval = interval
        self._process_id = os.getpid()
        self._stop = _thread.allocate_lock()
        self._born = _thread.allocate_lock()
        self._beating = False
        self._watches_forks = False
        self._callback: Any = None

    def start(self) -> None:
        """Start the thread; its first beat follows at once."""
        if self._beating or os.getpid() != self._process_id:
            return
        self._beating = True
        self._stop, self._born = _thread.allocate_lock(), _thread.allocate_lock()
        self._stop.acquire()
        self._born.acquire()
        if hasattr(os, "register_at_fork") and not self._watches_forks:
            self._watches_forks = True
            os.register_at_fork(before=self.stop)
        if _make_callback is None:
            _thread.start_new_thread(self._run, (None,))
        else:
            self._callback = _make_callback(self._run)
            _start_thread(self._callback, None)
        # not until the first beat: the lock that it sends under may be held by what this signal interrupted
        self._born.acquire(True, _MAX_BIRTH)

    def stop(self) -> None:
        """Stop the thread; returns when it is about to end."""
        if not self._beating or os.getpid() != self._process_id:
            return
        self._stop.release()
        for _ in range(1000):
            if not self._beating:
                return
            time.sleep(0.0001)

    def _run(self, _: Any) -> None:
        if hasattr(_signal, "pthread_sigmask"):
            _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        self._born.release()
        self._beat()
        while not self._stop.acquire(True, self._interval):
            self._beat()
        self._beating = False


def arm_heartbeat(beat: Callable[[], None], interval: float, *, starts: bool = processes.NUDGE is None) -> None:
    """Have a nudge start the heartbeat from now on; *starts* it at once on systems without nudges."""
    global _armed
    _armed = beat, interval  # for most children, no thread is ever made
    if starts:
        _start()


def disarm_heartbeat() -> None:
    """Stop the heartbeat, and have nudges start nothing any more."""
    global _armed
    if isinstance(_armed, _Heartbeat):
        _armed.stop()
    _armed = None


def answer_nudges() -> None:
    """Have the signal `processes.NUDGE` start the heartbeat of this process, and of each child that it forks."""
    if processes.NUDGE is not None:
        _signal.signal(processes.NUDGE, _on_nudge)


def _on_nudge(_signal: int, _frame: FrameType | None) -> None:
    _start()


def _start() -> None:
    global _armed
    if isinstance(_armed, tuple):
        _armed = _Heartbeat(*_armed)
    if _armed is not None:
        _armed.start()
