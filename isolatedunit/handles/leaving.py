"""Keeps a process from hanging at its exit because multiprocessing waits there for a child that never ends."""

from __future__ import annotations

import _thread
import sys
import time

from isolatedunit.handles import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from isolatedunit.system.grace import Grace

# trap: a test may patch these functions in their modules
_sleep, _current_frames = time.sleep, sys._current_frames
_start_new_thread, _allocate_lock, _get_ident = _thread.start_new_thread, _thread.allocate_lock, _thread.get_ident

_MODULES = ("multiprocessing.util", "multiprocess.util")
_LOOK_INTERVAL = 0.005


class Leaving:
    """A context around the exit functions: passes children to *end* that multiprocessing awaits for too long.

    *make_grace* is called when it begins to wait. multiprocessing itself ends its daemons, but waits for all other
    children without a limit. A thread watches for that, one that `threading` does not list; no thread starts if there
    are no such children.
    """

    def __init__(self, make_grace: Callable[[], Grace], end: Callable[[set[int]], None]) -> None:
        self._make_grace = make_grace
        self._end = end
        self._thread = _get_ident()
        self._is_over = False
        self._is_gone = _allocate_lock()

    def __enter__(self) -> None:
        try:
            if processes.joined_at_exit():
                self._is_gone.acquire()
                _start_new_thread(self._watch, ())
        except Exception:  # trap: the test may have broken anything in this process
            return

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._is_gone.acquire()

    def _watch(self) -> None:
        grace: Grace | None = None
        try:
            while not self._is_over:
                if not self._is_waiting():
                    grace = None
                elif grace is None:
                    grace = self._make_grace()
                elif grace.is_over():
                    self._end(processes.joined_at_exit())
                    grace = None
                _sleep(_LOOK_INTERVAL)
        except Exception:  # the runner ends this process anyway when its cleanup timeout is over
            return
        finally:
            self._is_gone.release()

    def _is_waiting(self) -> bool:
        """Whether multiprocessing is joining a child now; before that it still ends daemons, managers and pools."""
        frame, called = _current_frames().get(self._thread), ""
        while frame is not None:
            if frame.f_code.co_name == "_exit_function" and frame.f_globals.get("__name__") in _MODULES:
                return called == "join"
            called = frame.f_code.co_name
            frame = frame.f_back
        return False
