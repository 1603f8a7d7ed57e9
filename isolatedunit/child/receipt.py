"""What a child does before its tests, with its settings, and after them: the receipt."""

from __future__ import annotations

import _thread
import _warnings
import atexit
import os
import sys
import time
import warnings

from isolatedunit.child import cleanup
from isolatedunit.child.tracebacks import as_text
from isolatedunit.model.variables import SLOT_VARIABLE
from isolatedunit.protocol.messages import HandlesCleaned, WorkFinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    import threading
    from collections.abc import Callable, Sequence
    from typing import Any

    from isolatedunit.child.reporter import Reporter
    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.child_settings import ChildSettings

__unittest = True  # leaves this module's frames out of unittest's tracebacks

if sys.version_info < (3, 12):
    import re

    _OLD_NAMES = re.compile(r"Please use assert\w+ instead.", re.IGNORECASE)

_save_lines: Callable[[], None] | None = None

_filtered: str | None = None
"""The category of the warning filters that are in force; None if they have to be set again."""


_shown: int | None = None
"""The slot that the environment says; None if it has to be looked up again."""


def take_settings(pipe: PipeEnd, settings: ChildSettings, reporter: Reporter) -> None:
    """Send reports, and heartbeats, in the way that the settings ask for."""
    pipe.receipt = settings.receipt
    show_slot(settings.slot, settings.environment)
    if settings.ipc:
        reporter.arm_heartbeat(settings.heartbeat_interval)
    else:
        pipe.only_receipt = True


def show_slot(slot: int, variables: dict[str, str]) -> None:
    """Have the environment say which slot this process has, and what was set up for that.

    A template does it before it forks, if it can. Each slot of a run has the same *variables*, with other values.
    """
    global _shown
    if slot == _shown:
        return
    _shown, number = slot, str(slot) if slot else None
    os.environ.update(variables)
    if os.environ.get(SLOT_VARIABLE) == number:
        return
    if number is None:
        del os.environ[SLOT_VARIABLE]  # of the test that this run is a part of
    else:
        os.environ[SLOT_VARIABLE] = number


def finish(
    reporter: Reporter,
    settings: ChildSettings,
    spawned: bool,
    tracker: HandleTracker | None = None,
    grown: Sequence[dict[str, Any]] = (),
    owners: list[Any] | None = None,
    is_rehearsed: bool = False,
    **more: Any,
) -> None:
    """Send the receipt and what the tests left behind; in one report if there is nothing.

    *owners* are the last to refer to what the tests have made. The list is emptied after the receipt, as what that
    frees may end the process or register exit functions, and after the search of a tracker, which has to see all of it.
    A template that rehearses this keeps its exit functions, and has no test's threads.

    The outcomes are known by now: a failure in here costs what would have been found, and never an outcome. Trap: an
    audit hook or a signal handler that a test has installed may raise anything, at any call.
    """
    clean, has_nothing, looked, peak, failure = False, False, False, None, None
    try:
        if _save_lines is not None:  # not by a call: each function that a fork calls is two pages more that are copied
            _save_lines()
        # no other thread, and no exit function
        clean = (_thread._count() == 0 and atexit._ncallbacks() == 0) or is_rehearsed
        peak = cleanup.peak_rss() if spawned else None
        has_nothing = clean and (tracker is None or _has_nothing(tracker))
        looked = has_nothing and tracker is not None and _finds_nothing(tracker, settings.cleanup_timeout)
    except BaseException as exception:
        failure = exception
    found_after, elapsed = max(0.0, reporter.found_at - reporter.ready_at), time.monotonic() - reporter.ready_at
    is_all = clean and failure is None and (tracker is None or looked) and not grown
    times = {"found_after": found_after, "elapsed": elapsed}
    reporter.hold(WorkFinished, clean=is_all, looked=is_all and looked, peak_rss=peak, **times, **more)
    found: dict[str, Any] = {}
    try:
        if tracker is None or is_all:
            reporter.flush()  # starts the runner's clock for the cleanup
            if owners:
                owners.clear()
            if is_all and (is_rehearsed or (_thread._count() == 0 and atexit._ncallbacks() == 0)):
                return
            has_nothing = False
        found = _look_after(reporter, settings, tracker, has_nothing)
    except BaseException as exception:
        failure = failure or exception
    if failure is not None:
        found.update(without_look(failure))
    # the engine counts, together with what is found when this process is gone
    reporter.send(HandlesCleaned, handle_stats={**found, "leaks": [*found.get("leaks", ()), *grown]})
    if owners:
        owners.clear()


def without_look(exception: BaseException) -> dict[str, Any]:
    """What is reported as found when *exception* ended the search."""
    name, text = type(exception).__name__, as_text(exception).partition("\n")[0]
    return {"incomplete": f"{name}: {text}" if text else name}


def _look_after(
    reporter: Reporter, settings: ChildSettings, tracker: HandleTracker | None, has_nothing: bool
) -> dict[str, Any]:
    timeout, began = settings.cleanup_timeout, time.monotonic()
    leaks: list[dict[str, Any]] = []
    lasting: list[threading.Thread] = []
    if not has_nothing:
        reporter.flush()
        cleanup.let_threads_end(timeout, lasting.extend if tracker is None else tracker.note_threads)
        if tracker is None:
            leaks = cleanup.run_exit_functions(timeout)
        else:
            with tracker.leaving(timeout):
                cleanup.run_exit_functions()
    if tracker is None:
        return {"leaks": [*leaks, *cleanup.find_threads(lasting)]}
    # not all of the time that is left: what is found has to be reported before it is up
    left = None if timeout is None else max(0.1 * timeout, 0.9 * timeout - (time.monotonic() - began))
    return _finish_tracker(tracker, left)


def measure_lines(directory: str) -> None:
    """Begin to measure which lines run in this process; they are saved in *directory*."""
    global _save_lines
    from isolatedunit.child import coverage

    coverage.begin(directory)
    _save_lines = coverage.save


def save_lines() -> None:
    """Save which lines ran, if they are measured."""
    if _save_lines is not None:
        _save_lines()


def saves_lines() -> bool:
    """Whether this process measures which lines run."""
    return _save_lines is not None


def _has_nothing(tracker: HandleTracker) -> bool:
    try:
        return tracker.is_clean()
    except Exception:
        return False


def _finds_nothing(tracker: HandleTracker, timeout: float | None) -> bool:
    """Whether nothing was opened in all that time, and nothing is changed: then that is all that there is to say."""
    if tracker.failure is not None:
        return False
    found = tracker.finish(timeout)
    return not (found.opened or found.closed or found.leaks or found.state_changes)


def _finish_tracker(tracker: HandleTracker, timeout: float | None) -> dict[str, Any]:
    try:
        if tracker.failure is not None:
            raise tracker.failure
        return tracker.finish(timeout).to_dict()
    except BaseException as exception:
        return {**without_look(exception), "leaks": cleanup.find_threads()}


def filter_warnings(category: str | None) -> None:
    """Set the warning filters that unittest's own runner sets; they are never reset, since the process ends."""
    if category:
        _insert_filter(category, None, Warning)
        if sys.version_info < (3, 12) and category in ("default", "always"):
            _insert_filter("module", _OLD_NAMES, DeprecationWarning)


def _insert_filter(action: str, message: re.Pattern[str] | None, category: type[Warning]) -> None:
    """Put a filter in front of all others, without the functions of `warnings`: a module may have replaced them."""
    filters: Any = warnings.filters
    entry = (action, message, category, None, 0)
    if entry in filters:
        filters.remove(entry)
    filters.insert(0, entry)
    _drop_what_filters_decided()


def refuse_warnings() -> list[Any]:
    """Make every warning an exception; returns the filters that `put_filters_back` puts back."""
    before = list(warnings.filters)
    _insert_filter("error", None, Warning)
    return before


def put_filters_back(before: list[Any]) -> None:
    """Undo `refuse_warnings`."""
    filters: Any = warnings.filters
    filters[:] = before
    _drop_what_filters_decided()


def _drop_what_filters_decided() -> None:
    """Have Python look at the warning filters anew; only C's functions, since those of Python 3.14 use live globals."""
    if sys.version_info < (3, 14):
        _warnings._filters_mutated()  # type: ignore[attr-defined]
    else:
        _warnings._acquire_lock()
        try:
            _warnings._filters_mutated_lock_held()
        finally:
            _warnings._release_lock()


def filter_warnings_once(category: str | None) -> None:
    """Set the warning filters unless they are set; a template does it so that its children need not."""
    global _filtered
    if category != _filtered:
        filter_warnings(category)
        _filtered = category


def note_import() -> None:
    """In a template: user code has run, which may have changed warning filters or the environment, or opened files."""
    global _filtered, _shown
    _filtered = _shown = None
    cleanup.note_import()


def flush_standard_streams() -> None:
    """Flush what a test wrote, since `os._exit` does not. Its streams may be anything by now, or deleted."""
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        try:
            getattr(sys, name).flush()
        except BaseException:  # the stream may be the test's own
            continue


def has_exit_functions() -> bool:
    """Whether any exit functions are registered in this process."""
    return atexit._ncallbacks() > 0


def discard_inherited_exit_functions() -> None:
    """In a fork: drop the exit functions that the template registered; the template itself runs them."""
    atexit._clear()
    finalize: Any = getattr(sys.modules.get("weakref"), "finalize", None)
    if not isinstance(getattr(finalize, "_registry", None), dict):  # nobody has imported it, or a module replaced it
        return
    if finalize._registered_with_atexit:
        for info in finalize._registry.values():
            info.atexit = False
        finalize._registered_with_atexit = False
