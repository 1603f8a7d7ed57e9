"""Runs the tests of one command in this process, tells what happened, and leaves.

What is needed once a test has run is taken hold of at import: a test may patch it, clear
``sys.modules`` or leave nothing to import from.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import unittest
import warnings

from isolatedunit import channel
from isolatedunit.addresses import Finder, import_module
from isolatedunit.channel import PipeEnd
from isolatedunit.child import handles
from isolatedunit.child.heart import give_heart
from isolatedunit.child.recorder import Recorder, describe_exception, format_exception
from isolatedunit.child.reporter import Reporter
from isolatedunit.child.suites import Suite
from isolatedunit.messages import (
    ChildFailed,
    ChildReady,
    CollectTests,
    HandlesCleaned,
    OutcomeNoted,
    RunFunction,
    RunTest,
    TestFinished,
    TestStarted,
    WorkFinished,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from isolatedunit.child.prepared import Prepared
    from isolatedunit.child.stage import Stage
    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.messages import Command

__unittest = True  # leaves this module's frames out of unittest's tracebacks

_exit, _getpid, _clock = os._exit, os.getpid, time.monotonic


def execute(
    pipe: PipeEnd,
    command: Command,
    *,
    finder: Finder | None = None,
    stage: Stage | None = None,
    prepared: Prepared | None = None,
    spawned: bool,
) -> NoReturn:
    """Do what *command* says and end this process.

    *finder* knows what a template has loaded before it forked this process, *stage* which fixtures
    it has set up, and *prepared* is what it has made ready. *spawned* tells that this process has an interpreter
    of its own, whose peak memory only it can tell.
    """
    reporter = Reporter(pipe, command.attempt) if prepared is None else prepared.reporter
    reporter.begin()
    channel.current_attempt = command.attempt
    channel.current_process = reporter.process_id
    code = 1
    try:
        reporter.hold(ChildReady, at=reporter.ready_at)
        if prepared is not None:
            run_prepared(prepared, command.settings)  # type: ignore[attr-defined]
        elif isinstance(command, CollectTests):
            from isolatedunit.child import collector

            give_heart(reporter.beat, command.settings["heartbeat_interval"])
            collector.collect(command, reporter)
            save_lines()
        elif isinstance(command, (RunTest, RunFunction)):
            take_settings(pipe, command.settings, reporter)
            if finder is None:
                reporter.flush()  # what is imported first may take its time
            handles.limit(command.settings)
            if isinstance(command, RunFunction):
                _call_function(command, reporter, spawned)
            else:
                _run_tests(command, reporter, finder or Finder(), stage, spawned)
        else:
            raise TypeError(f"a worker has nothing to do with {command!r}")
        code = 0
    except BaseException as exception:
        reporter.send(ChildFailed, text=format_exception(exception, whole=True))
    finally:
        flush_standard_streams()
        _exit(code)


def take_settings(pipe: PipeEnd, settings: dict[str, Any], reporter: Reporter) -> None:
    """Let the reports go the way that the runner wants to hear them."""
    pipe.receipt = settings["receipt"]
    if settings["ipc"]:
        give_heart(reporter.beat, settings["heartbeat_interval"])
    else:
        pipe.only_receipt = True


def _call_function(command: RunFunction, reporter: Reporter, spawned: bool) -> None:
    from isolatedunit.child import caller
    from isolatedunit.handles.tracker import HandleTracker

    handles.take_hold()
    tracker = HandleTracker(in_new_process=True).start()
    caller.call(command, reporter, tracker)
    if not reporter.is_twin:
        own_memory = caller.own_memory()
        finish(reporter, command.settings, spawned, tracker, own_memory=own_memory)


def _run_tests(command: RunTest, reporter: Reporter, finder: Finder, stage: Stage | None, spawned: bool) -> None:
    settings = command.settings
    tracker = handles.make_tracker(settings)
    grown: list[dict[str, Any]] = []
    end_profile = None if settings["profile"] is None else _begin_profile(*settings["profile"])
    recorder = _run_suite(command, reporter, finder, stage, tracker, grown)
    if end_profile is not None and not reporter.is_twin:
        end_profile()
    if reporter.is_twin:
        _exit(0)
    stopped = recorder is not None and recorder.shouldStop
    fixtures = None if recorder is None else recorder.fixture_seconds or None
    if tracker is None:
        # what it holds of the tests may register something for the exit when it goes; to a tracker, though, what
        # only the tests refer to is open, too
        del recorder
    finish(reporter, settings, spawned, tracker, grown, stopped=stopped, fixtures=fixtures)


def run_prepared(prepared: Prepared, settings: dict[str, Any]) -> None:
    """Run, in the child, the test that its template has made ready, and give the receipt."""
    reporter = prepared.reporter
    if prepared.has_limits:
        handles.limit(settings)
    reporter.found_at = reporter.ready_at
    prepared.run()
    if reporter.is_twin:
        _exit(0)
    finish(reporter, settings, spawned=False, stopped=prepared.stopped, fixtures=prepared.fixtures)


def _begin_profile(profiler: str, directory: str) -> Callable[[], None]:
    from isolatedunit import profiling

    return profiling.begin(profiler, os.path.join(directory, f"{_getpid()}-{_clock():.9f}"))


def finish(
    reporter: Reporter,
    settings: dict[str, Any],
    spawned: bool,
    tracker: HandleTracker | None = None,
    grown: Sequence[dict[str, Any]] = (),
    **more: Any,
) -> None:
    """Give the receipt, and look after what is left: in one, where that is nothing."""
    save_lines()
    clean = handles.is_clean()
    peak = handles.peak_rss() if spawned else None
    found_after, elapsed = max(0.0, reporter.found_at - reporter.ready_at), _clock() - reporter.ready_at
    is_all = clean and tracker is None and not grown
    reporter.hold(WorkFinished, clean=is_all, found_after=found_after, elapsed=elapsed, peak_rss=peak, **more)
    if is_all:
        reporter.flush()
        return
    if not clean or (tracker is not None and not _has_nothing(tracker)):
        reporter.flush()  # from now on the runner's clock for the cleanup runs
        handles.let_threads_end()
        if tracker is None:
            handles.run_exit_functions()
        else:
            with tracker.leaving(settings["cleanup_timeout"]):
                handles.run_exit_functions()
    found = handles.clean() if tracker is None else _finish_tracker(tracker, settings["cleanup_timeout"])
    reporter.send(HandlesCleaned, handle_stats=_with_leaks(found, grown))


def save_lines() -> None:
    """Save which lines ran, where that is measured."""
    if saves_lines():
        sys.modules["isolatedunit.child.lines"].save()


def saves_lines() -> bool:
    """Whether it is measured here which lines run."""
    return "isolatedunit.child.lines" in sys.modules


def _has_nothing(tracker: HandleTracker) -> bool:
    try:
        return tracker.is_clean()
    except Exception:
        return False


def _finish_tracker(tracker: HandleTracker, timeout: float | None) -> dict[str, Any]:
    try:
        # less than there is: what is found must be told before the time is over
        return tracker.finish(None if timeout is None else timeout * 0.8).to_dict()
    except Exception as exception:  # after a test that left nothing as it was; that is no fault of its outcome
        # without a traceback, as what formats one may be broken, too
        return {**handles.clean(), "incomplete": f"{type(exception).__name__}: {exception}"}


def _with_leaks(found: dict[str, Any], more: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not more:
        return found
    by_kind = dict(found["by_kind"])
    for leak in more:
        by_kind[leak["kind"]] = by_kind.get(leak["kind"], 0) + 1
    return {**found, "leaked": found["leaked"] + len(more), "by_kind": by_kind, "leaks": [*found["leaks"], *more]}


def _run_suite(
    command: RunTest,
    reporter: Reporter,
    finder: Finder,
    stage: Stage | None = None,
    tracker: HandleTracker | None = None,
    grown: list[dict[str, Any]] | None = None,
) -> Recorder | None:
    """Run the tests; what their process has grown by, where that is asked for, is added to *grown*."""
    tests = []
    for number, planned in enumerate(command.tests):
        try:
            import_module(planned["home"])
            tests.append(finder.find(planned["address"]))
        except BaseException as exception:
            _report_lost(reporter, number, exception)
            return None
    reporter.found_at = _clock()
    handles.take_hold()
    recorder = Recorder(reporter, tests, command.settings)
    try:
        filter_warnings_once(command.settings["warnings"])
        measuring = _begin_to_measure(command, reporter, finder)
        if tracker is not None:
            tracker.start()
        suite = Suite(finder.as_grouped(tests))
        if stage is None:
            suite.run(recorder)
        else:
            stage.run(suite, tests, recorder)
        if grown is not None and measuring is not None:
            grown += measuring()
    except BaseException as exception:
        recorder.note_escaped(exception)
    recorder.finish_silent()
    return recorder


def _begin_to_measure(
    command: RunTest, reporter: Reporter, finder: Finder
) -> Callable[[], list[dict[str, Any]]] | None:
    """Begin to look at the growth of this process, if that is asked for; what tells it when the tests are done."""
    settings = command.settings
    times, limit = settings.get("hunt_leaks"), settings.get("memory_growth_limit")
    if not times and limit is None:
        return None
    from isolatedunit.child import growth

    def run_once() -> None:
        for number, planned in enumerate(command.tests):
            reporter.send(TestStarted, test=number)  # each time with all the time that it may take
            Suite([finder.find(planned["address"])]).run(_Silent())

    hunted = growth.hunt(run_once, times) if times else []
    before = growth.resident()
    return lambda: [*hunted, *growth.describe_growth(before, limit)]


class _Silent(unittest.TestResult):
    """Hears of runs that do not count; `Suite` tells it of fixtures, too."""

    def fixture_starts(self, fixture: str) -> None:
        """Nobody is told."""

    def fixture_ended(self) -> None:
        """Nor of this."""


def filter_warnings(category: str | None) -> None:
    """What unittest's own runner does; nobody is left to see its filters when this process ends."""
    if category:
        warnings.simplefilter(category)  # type: ignore[arg-type]
        if sys.version_info < (3, 12) and category in ("default", "always"):
            warnings.filterwarnings("module", category=DeprecationWarning, message=r"Please use assert\w+ instead.")


_filtered: str | None = None


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
    handles.note_import()


def _report_lost(reporter: Reporter, number: int, exception: BaseException) -> None:
    """A test that could not be found here, since its module does not even import, is an error."""
    reporter.hold(TestStarted, test=number)
    reporter.hold(OutcomeNoted, test=number, kind="addError", **describe_exception(exception))
    reporter.hold(TestFinished, test=number, duration=0.0, counted=True, succeeded=False)


def flush_standard_streams() -> None:
    """Get out what a test wrote and `os._exit` would forget; its streams may be anything by now."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except Exception:
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
