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
"""Seconds that whoever starts a heart waits for it, at most."""

_make_callback: Any = None if ctypes is None else ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_start_thread: Any = None if ctypes is None else ctypes.pythonapi.PyThread_start_new_thread

_heart: Heart | tuple[Callable[[], None], float] | None = None


class Heart:
    """Calls *beat* once every *interval* seconds, once it is started.

    It is started by a nudge from the runner, and not with the child: a thread makes a short test's
    process half as slow again. It is a thread that neither `threading` nor ``_thread._count()``
    knows of, since tests count theirs, and that no signal reaches, since tests block theirs. It
    ends before a fork, since Python 3.12 warns of forking with a second thread; the runner nudges
    again when it hears nothing.

    Such a thread makes the state that Python keeps of it as its first step, with the interpreter's lock not held. If
    memory is traced at that moment, and the test stops that meanwhile, the thread writes to what is freed
    (python/cpython#128679). So `start` returns when that step is done: the test, whose thread it is called in, stops
    nothing meanwhile.
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
        """Begin to beat, with a beat."""
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
        # not for the first beat: what is sent with it may be locked by what this interrupted
        self._born.acquire(True, _MAX_BIRTH)

    def stop(self) -> None:
        """Stop beating; returns when the thread is about to end."""
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


def arm_heartbeat(beat: Callable[[], None], interval: float) -> None:
    """From now on a nudge starts the heart; where there are no nudges, it starts at once."""
    global _heart
    _heart = beat, interval  # made when it is needed, which for most children is never
    if processes.NUDGE is None:
        _start_heart()


def disarm_heartbeat() -> None:
    """The heart stops, and nudges start nothing any more."""
    global _heart
    if isinstance(_heart, Heart):
        _heart.stop()
    _heart = None


def answer_nudges() -> None:
    """Let `resources.NUDGE` start the heart of whatever child this process is, or forks."""
    if processes.NUDGE is not None:
        _signal.signal(processes.NUDGE, _on_nudge)


def _on_nudge(_signal: int, _frame: FrameType | None) -> None:
    _start_heart()


def _start_heart() -> None:
    global _heart
    if isinstance(_heart, tuple):
        _heart = Heart(*_heart)
    if _heart is not None:
        _heart.start()
