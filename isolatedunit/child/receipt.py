"""What a child does around its tests: settings before them, and the receipt after them."""

from __future__ import annotations

import atexit
import re
import sys
import time
import warnings

from isolatedunit.child import cleanup
from isolatedunit.child.heartbeat import arm_heartbeat
from isolatedunit.child.tracebacks import as_text
from isolatedunit.protocol.messages import HandlesCleaned, WorkFinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from isolatedunit.child.reporter import Reporter
    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.child_settings import ChildSettings

__unittest = True  # leaves this module's frames out of unittest's tracebacks

_OLD_NAMES = re.compile(r"Please use assert\w+ instead.", re.IGNORECASE)

_save_lines: Callable[[], None] | None = None

_filtered: str | None = None
"""The category of the filters that are in force; None where they have to be set again."""


def take_settings(pipe: PipeEnd, settings: ChildSettings, reporter: Reporter) -> None:
    """Let the reports go the way that the runner wants to hear them."""
    pipe.receipt = settings.receipt
    if settings.ipc:
        arm_heartbeat(reporter.beat, settings.heartbeat_interval)
    else:
        pipe.only_receipt = True


def finish(
    reporter: Reporter,
    settings: ChildSettings,
    spawned: bool,
    tracker: HandleTracker | None = None,
    grown: Sequence[dict[str, Any]] = (),
    **more: Any,
) -> None:
    """Give the receipt, and look after what is left: in one, where that is nothing.

    The outcome is known by now. What fails here is a matter of what is found, and never the test's.
    """
    save_lines()
    clean = cleanup.is_clean()
    peak = cleanup.peak_rss() if spawned else None
    found_after, elapsed = max(0.0, reporter.found_at - reporter.ready_at), time.monotonic() - reporter.ready_at
    is_all = clean and tracker is None and not grown
    reporter.hold(WorkFinished, clean=is_all, found_after=found_after, elapsed=elapsed, peak_rss=peak, **more)
    if is_all:
        reporter.flush()
        return
    try:
        found = _look_after(reporter, settings, tracker, clean)
    except Exception as exception:  # after a test that left nothing as it was
        found = without_look(exception)
    # nothing is counted here: the engine does that, with what is found once this process is gone
    reporter.send(HandlesCleaned, handle_stats={**found, "leaks": [*found.get("leaks", ()), *grown]})


def without_look(exception: BaseException) -> dict[str, Any]:
    """What is found where *exception* ended the looking."""
    why = f"{type(exception).__name__}: {as_text(exception)}"
    return {"incomplete": why}


def _look_after(
    reporter: Reporter, settings: ChildSettings, tracker: HandleTracker | None, clean: bool
) -> dict[str, Any]:
    if not clean or (tracker is not None and not _has_nothing(tracker)):
        reporter.flush()  # from now on the runner's clock for the cleanup runs
        cleanup.let_threads_end(settings.cleanup_timeout)
        if tracker is None:
            cleanup.run_exit_functions()
        else:
            with tracker.leaving(settings.cleanup_timeout):
                cleanup.run_exit_functions()
    if tracker is None:
        return {"leaks": cleanup.find_threads()}
    return _finish_tracker(tracker, settings.cleanup_timeout)


def measure_lines(directory: str) -> None:
    """Begin to measure which lines run here, to be saved below *directory*."""
    global _save_lines
    from isolatedunit.child import coverage

    coverage.begin(directory)
    _save_lines = coverage.save


def save_lines() -> None:
    """Save which lines ran, if that is measured."""
    if _save_lines is not None:
        _save_lines()


def saves_lines() -> bool:
    """Whether it is measured here which lines run."""
    return _save_lines is not None


def _has_nothing(tracker: HandleTracker) -> bool:
    try:
        return tracker.is_clean()
    except Exception:
        return False


def _finish_tracker(tracker: HandleTracker, timeout: float | None) -> dict[str, Any]:
    try:
        # less than there is: what is found must be told before the time is over
        return tracker.finish(None if timeout is None else timeout * 0.8).to_dict()
    except Exception as exception:
        return {**without_look(exception), "leaks": cleanup.find_threads()}


def filter_warnings(category: str | None) -> None:
    """Filter as unittest's own runner does; nobody is left to see the filters when this process ends."""
    if category:
        _insert_filter(category, None, Warning)
        if sys.version_info < (3, 12) and category in ("default", "always"):
            _insert_filter("module", _OLD_NAMES, DeprecationWarning)


def _insert_filter(action: str, message: re.Pattern[str] | None, category: type[Warning]) -> None:
    """Put a filter in front of all others, without `warnings`' own functions: a module may have replaced those."""
    filters: Any = warnings.filters
    entry = (action, message, category, None, 0)
    if entry in filters:
        filters.remove(entry)
    filters.insert(0, entry)
    warnings._filters_mutated()  # type: ignore[attr-defined]


def filter_warnings_once(category: str | None) -> None:
    """The same, unless it is done; in a template, so that no child has to."""
    global _filtered
    if category != _filtered:
        filter_warnings(category)
        _filtered = category


def note_import() -> None:
    """In a template: it has run code of the user's, which may have changed filters, or handles."""
    global _filtered
    _filtered = None
    cleanup.note_import()


def flush_standard_streams() -> None:
    """Get out what a test wrote and `os._exit` would forget; its streams may be anything by now."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except BaseException:  # a stream of the test's may do anything
            continue


def has_exit_functions() -> bool:
    """Whether anything is registered for the exit of this process."""
    return atexit._ncallbacks() > 0


def discard_inherited_exit_functions() -> None:
    """In a fork: what the template's modules registered for their exit is the template's to run."""
    atexit._clear()
    finalize = getattr(sys.modules.get("weakref"), "finalize", None)
    if finalize is not None and finalize._registered_with_atexit:
        for info in finalize._registry.values():
            info.atexit = False
        finalize._registered_with_atexit = False
