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
    RunTest,
    TestFinished,
    TestStarted,
    WorkFinished,
    decode,
    encode,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.messages import Command, Report

__unittest = True  # leaves this module's frames out of unittest's tracebacks

_exit, _getpid, _clock = os._exit, os.getpid, time.monotonic


class Reporter:
    """Sends this process's reports; says nothing in a fork of it."""

    def __init__(self, pipe: PipeEnd, attempt: str) -> None:
        self._pipe = pipe
        self._attempt = attempt
        self._pid = _getpid()
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
            self._pipe.send(Heartbeat(attempt=self._attempt, pid=self._pid))


class _Suite(unittest.TestSuite):
    """unittest's suite; says beforehand which fixture runs, since it may be the last thing to run."""

    def _handleClassSetUp(self, test: Any, result: Any) -> None:
        cls = type(test)
        if cls is not result._previousTestClass and _overrides(cls, "setUpClass"):
            result.fixture_starts(f"setUpClass ({unittest.util.strclass(cls)})")
        super()._handleClassSetUp(test, result)  # type: ignore[misc]

    def _tearDownPreviousClass(self, test: Any, result: Any) -> None:
        cls = result._previousTestClass
        if cls is not None and cls is not type(test) and _has_to_tear_down(cls):
            result.fixture_starts(f"tearDownClass ({unittest.util.strclass(cls)})")
        super()._tearDownPreviousClass(test, result)  # type: ignore[misc]

    def _handleModuleFixture(self, test: Any, result: Any) -> None:
        module = type(test).__module__
        if module != _module_of(result._previousTestClass) and hasattr(sys.modules.get(module), "setUpModule"):
            result.fixture_starts(f"setUpModule ({module})")
        super()._handleModuleFixture(test, result)  # type: ignore[misc]

    def _handleModuleTearDown(self, result: Any) -> None:
        module = _module_of(result._previousTestClass)
        cleanups: list[Any] = unittest.case._module_cleanups  # type: ignore[attr-defined]
        if module is not None and (cleanups or hasattr(sys.modules.get(module), "tearDownModule")):
            result.fixture_starts(f"tearDownModule ({module})")
        super()._handleModuleTearDown(result)  # type: ignore[misc]


def _overrides(cls: type, fixture: str) -> bool:
    method = getattr(cls, fixture, None)
    return method is not None and getattr(method, "__func__", None) is not getattr(unittest.TestCase, fixture).__func__


def _has_to_tear_down(cls: type) -> bool:
    return _overrides(cls, "tearDownClass") or bool(getattr(cls, "_class_cleanups", None))


def _module_of(cls: type | None) -> str | None:
    return None if cls is None else cls.__module__


def execute(pipe: PipeEnd, command: Command, *, finder: Finder | None = None, spawned: bool) -> NoReturn:
    """Do what *command* says and end this process.

    *finder* knows what a template has loaded before it forked this process. *spawned* tells that
    this process has an interpreter of its own, whose peak memory only it can tell.
    """
    reporter = Reporter(pipe, command.attempt)
    code = 1
    try:
        reporter.hold(ChildReady, at=_clock())
        if isinstance(command, CollectTests):
            from isolatedunit.child import collector

            give_heart(reporter.beat, command.settings["heartbeat_interval"])
            collector.collect(command, reporter)
        elif isinstance(command, RunTest):
            give_heart(reporter.beat, command.settings["heartbeat_interval"])
            pipe.receipt = command.settings["receipt"]
            if finder is None:
                reporter.flush()  # what is imported first may take its time
            _run_tests(command, reporter, finder or Finder(), spawned)
        else:
            raise TypeError(f"a worker has nothing to do with {command!r}")
        code = 0
    except BaseException as exception:
        reporter.send(ChildFailed, text=format_exception(exception, whole=True))
    finally:
        flush_standard_streams()
        _exit(code)


def _run_tests(command: RunTest, reporter: Reporter, finder: Finder, spawned: bool) -> None:
    settings = command.settings
    handles.limit(settings)
    tracker = handles.make_tracker(settings)
    recorder = _run_suite(command, reporter, finder, tracker)
    if reporter.is_twin:
        _exit(0)
    stopped = recorder is not None and recorder.shouldStop
    if tracker is not None:
        # with the recorder still there, which holds the tests: what only they refer to is open, too
        _finish_tracked(tracker, reporter, settings["cleanup_timeout"], spawned, stopped)
        return
    del recorder  # what it holds of the tests may register something for the exit when it goes
    clean = handles.is_clean()
    peak = handles.peak_rss() if spawned else None
    reporter.send(WorkFinished, clean=clean, peak_rss=peak, stopped=stopped)
    if clean:
        return
    handles.run_exit_functions()
    reporter.send(HandlesCleaned, handle_stats=handles.clean())


def _finish_tracked(
    tracker: HandleTracker, reporter: Reporter, timeout: float | None, spawned: bool, stopped: bool
) -> None:
    """Send the receipt, and what the tests left open; in one, where that is nothing."""
    peak = handles.peak_rss() if spawned else None
    reporter.hold(WorkFinished, clean=False, peak_rss=peak, stopped=stopped)
    if not handles.is_clean() or not _has_nothing(tracker):
        reporter.flush()  # from now on the runner's clock for the cleanup runs
        handles.run_exit_functions()
        handles.let_executors_end()
    try:
        # less than there is: what is found must be told before the time is over
        found = tracker.finish(None if timeout is None else timeout * 0.8).to_dict()
    except Exception as exception:  # after a test that left nothing as it was; that is no fault of its outcome
        # without a traceback, as what formats one may be broken, too
        found = {**handles.clean(), "incomplete": f"{type(exception).__name__}: {exception}"}
    reporter.send(HandlesCleaned, handle_stats=found)


def _has_nothing(tracker: HandleTracker) -> bool:
    try:
        return tracker.is_clean()
    except Exception:
        return False


def _run_suite(
    command: RunTest, reporter: Reporter, finder: Finder, tracker: HandleTracker | None = None
) -> Recorder | None:
    tests = []
    for number, planned in enumerate(command.tests):
        try:
            import_module(planned["home"])
            tests.append(finder.find(planned["address"]))
        except BaseException as exception:
            _report_lost(reporter, number, exception)
            return None
    handles.take_hold()
    recorder = Recorder(reporter, tests, command.settings)
    try:
        _filter_warnings(command.settings["warnings"])
        if tracker is not None:
            tracker.start()
        _Suite(finder.as_grouped(tests)).run(recorder)
    except BaseException as exception:
        recorder.note_escaped(exception)
    recorder.finish_silent()
    return recorder


def _filter_warnings(category: str | None) -> None:
    """What unittest's own runner does; nobody is left to see its filters when this process ends."""
    if category:
        warnings.simplefilter(category)  # type: ignore[arg-type]
        if sys.version_info < (3, 12) and category in ("default", "always"):
            warnings.filterwarnings("module", category=DeprecationWarning, message=r"Please use assert\w+ instead.")


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
