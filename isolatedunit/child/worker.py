"""Runs the tests of one command in this process, tells what happened, and leaves.

What is needed once a test has run is taken hold of at import: a test may patch it, clear
``sys.modules`` or leave nothing to import from.
"""

from __future__ import annotations

import _thread
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
from isolatedunit.child.heart import give_heart, lose_heart
from isolatedunit.child.recorder import Recorder, describe_exception, format_exception
from isolatedunit.messages import (
    COMMANDS,
    ChildFailed,
    ChildReady,
    CollectTests,
    HandlesCleaned,
    Heartbeat,
    OutcomeNoted,
    RunFunction,
    RunTest,
    TestFinished,
    TestStarted,
    WorkFinished,
    decode,
    encode,
)
from isolatedunit.phases import phase_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from isolatedunit.child.stage import Stage
    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.messages import Command, Report

__unittest = True  # leaves this module's frames out of unittest's tracebacks

_exit, _getpid, _clock = os._exit, os.getpid, time.monotonic


class Reporter:
    """Sends this process's reports; says nothing in a fork of it."""

    def __init__(self, pipe: PipeEnd, attempt: str) -> None:
        self.ready_at = self.found_at = 0.0
        self._pipe = pipe
        self._attempt = attempt
        self._pid = _getpid()
        self._thread = _thread.get_ident()
        self._held: list[Report] = []

    @property
    def is_twin(self) -> bool:
        """Whether this is not the child any more, but a fork of it that came back from a test."""
        return _getpid() != self._pid

    def hold(self, report: type[Report], /, **fields: Any) -> None:
        """Keep a report, to be sent together with the next: each one sent wakes the runner up."""
        self._held.append(report(attempt=self._attempt, pid=self._pid, **fields))

    def send(self, report: type[Report], /, **fields: Any) -> None:
        """Send a report, after those that are held."""
        self.hold(report, **fields)
        self.flush()

    def flush(self) -> None:
        """Send what is held."""
        held, self._held = self._held, []
        if held and not self.is_twin:
            self._pipe.send(*held)

    def beat(self) -> None:
        """Send a heartbeat; from another thread, so nothing that is held goes with it."""
        if not self.is_twin:
            self._pipe.send(Heartbeat(attempt=self._attempt, pid=self._pid, phase=phase_of(self._thread)))


class Suite(unittest.TestSuite):
    """unittest's suite; says which fixture runs, beforehand as it may be the last thing to run, and when it ended."""

    def _handleClassSetUp(self, test: Any, result: Any) -> None:
        cls = type(test)
        run: Callable[..., None] = super()._handleClassSetUp  # type: ignore[misc]
        if cls is not result._previousTestClass and _overrides(cls, "setUpClass"):
            _run_fixture(f"setUpClass ({unittest.util.strclass(cls)})", result, run, test, result)
        else:
            run(test, result)

    def _tearDownPreviousClass(self, test: Any, result: Any) -> None:
        cls = result._previousTestClass
        run: Callable[..., None] = super()._tearDownPreviousClass  # type: ignore[misc]
        if cls is not None and cls is not type(test) and _has_to_tear_down(cls):
            _run_fixture(f"tearDownClass ({unittest.util.strclass(cls)})", result, run, test, result)
        else:
            run(test, result)

    def _handleModuleFixture(self, test: Any, result: Any) -> None:
        module = type(test).__module__
        run: Callable[..., None] = super()._handleModuleFixture  # type: ignore[misc]
        if module != _module_of(result._previousTestClass) and hasattr(sys.modules.get(module), "setUpModule"):
            _run_fixture(f"setUpModule ({module})", result, run, test, result)
        else:
            run(test, result)

    def _handleModuleTearDown(self, result: Any) -> None:
        module = _module_of(result._previousTestClass)
        cleanups: list[Any] = unittest.case._module_cleanups  # type: ignore[attr-defined]
        run: Callable[..., None] = super()._handleModuleTearDown  # type: ignore[misc]
        if module is not None and (cleanups or hasattr(sys.modules.get(module), "tearDownModule")):
            _run_fixture(f"tearDownModule ({module})", result, run, result)
        else:
            run(result)


def _run_fixture(fixture: str, result: Any, run: Callable[..., None], *arguments: Any) -> None:
    result.fixture_starts(fixture)
    try:
        run(*arguments)
    finally:
        result.fixture_ended()


def _overrides(cls: type, fixture: str) -> bool:
    method = getattr(cls, fixture, None)
    return method is not None and getattr(method, "__func__", None) is not getattr(unittest.TestCase, fixture).__func__


def has_fixtures(cls: type) -> bool:
    """Whether anything of the user's is set up before the first test of this class, or of its module."""
    return _overrides(cls, "setUpClass") or hasattr(sys.modules.get(cls.__module__), "setUpModule")


def _has_to_tear_down(cls: type) -> bool:
    return _overrides(cls, "tearDownClass") or bool(getattr(cls, "_class_cleanups", None))


def _module_of(cls: type | None) -> str | None:
    return None if cls is None else cls.__module__


def execute(
    pipe: PipeEnd, command: Command, *, finder: Finder | None = None, stage: Stage | None = None, spawned: bool
) -> NoReturn:
    """Do what *command* says and end this process.

    *finder* knows what a template has loaded before it forked this process, *stage* which fixtures
    it has set up. *spawned* tells that this process has an interpreter of its own, whose peak
    memory only it can tell.
    """
    reporter = Reporter(pipe, command.attempt)
    reporter.ready_at = _clock()
    channel.current_attempt = command.attempt
    channel.current_process = _getpid()
    code = 1
    try:
        reporter.hold(ChildReady, at=reporter.ready_at)
        if isinstance(command, CollectTests):
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
        if tracker is None:
            handles.run_exit_functions()
        else:
            with tracker.leaving(settings["cleanup_timeout"]):
                handles.run_exit_functions()
    found = handles.clean() if tracker is None else _finish_tracker(tracker, settings["cleanup_timeout"])
    reporter.send(HandlesCleaned, handle_stats=_with_leaks(found, grown))


def save_lines() -> None:
    """Save which lines ran, where that is measured."""
    lines = sys.modules.get("isolatedunit.child.lines")
    if lines is not None:
        lines.save()


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


class _Rehearsed(unittest.TestCase):
    def runTest(self) -> None:
        pass


def rehearse(times: int = 16) -> None:
    """Do what every child does, in a template: what an interpreter does the first times is done then.

    Since Python 3.11 it rewrites the code that it runs often, and everywhere it fills its caches. A
    fork that finds that done need not do it, and above all need not copy the pages it would be in.
    """
    settings = dict.fromkeys(("receipt", "cpu_limit", "cleanup_timeout"), None) | {
        "heartbeat_interval": 1.0,
        "warnings": "default",
    }
    settings |= dict.fromkeys(("failfast", "buffer", "tb_locals", "shared", "track_handles"), False)
    test = {"home": {"module": __name__}, "address": {"class": f"{__name__}:_Rehearsed", "method": "runTest"}}
    command = RunTest(attempt="rehearsal", tests=[test], settings=settings)
    descriptor = os.open(os.devnull, os.O_WRONLY)
    filters = warnings.filters[:]
    try:
        for _ in range(times):
            work: RunTest = decode(encode(command), COMMANDS)  # type: ignore[assignment]
            reporter = Reporter(PipeEnd(descriptor), work.attempt)
            reporter.hold(ChildReady, at=_clock())
            give_heart(reporter.beat, 1.0)
            _run_suite(work, reporter, Finder())
            reporter.send(WorkFinished, clean=handles.is_clean())
            flush_standard_streams()
            warnings.filters[:] = filters  # type: ignore[index]
            note_import()
    finally:
        lose_heart()
        os.close(descriptor)


def flush_standard_streams() -> None:
    """Get out what a test wrote and `os._exit` would forget; its streams may be anything by now."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except Exception:
            continue


def discard_inherited_exit_functions() -> None:
    """In a fork: what the template's modules registered for their exit is the template's to run."""
    if atexit._ncallbacks():
        atexit._clear()
        finalize = getattr(sys.modules.get("weakref"), "finalize", None)
        if finalize is not None and finalize._registered_with_atexit:
            for info in finalize._registry.values():
                info.atexit = False
            finalize._registered_with_atexit = False
