"""Runs the tests of one command in this process, reports what happened, and leaves."""

from __future__ import annotations

import os
import time
import unittest

from isolatedunit.child import cleanup, preludes, warmth
from isolatedunit.child.prebuilt import REHEARSAL, Prepared, rehearse, run_prepared
from isolatedunit.child.receipt import (
    filter_warnings_once,
    finish,
    flush_standard_streams,
    save_lines,
    take_settings,
    without_look,
)
from isolatedunit.child.recorder import Recorder, describe_exception, format_exception
from isolatedunit.child.reporter import Reporter
from isolatedunit.child.suite import Suite
from isolatedunit.collection.addresses import Finder, import_module
from isolatedunit.errors import TestNotFound
from isolatedunit.protocol import channel
from isolatedunit.protocol.child_settings import ChildSettings
from isolatedunit.protocol.messages import (
    ChildFailed,
    ChildReady,
    CollectTests,
    HandlesCleaned,
    OutcomeNoted,
    RunFunction,
    RunTest,
    TestEnded,
    TestStarted,
    WorkFinished,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from isolatedunit.child.fixtures import FixtureSnapshot
    from isolatedunit.child.function import PreparedCall
    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.messages import Work

__unittest = True  # leaves this module's frames out of unittest's tracebacks

_has_rehearsed_call = False


def execute(
    pipe: PipeEnd,
    command: Work,
    *,
    finder: Finder | None = None,
    fixture_snapshot: FixtureSnapshot | None = None,
    prepared: Prepared | PreparedCall | None = None,
    spawned: bool,
) -> NoReturn:
    """Carry out *command* and end this process.

    *finder* knows what the template had loaded when it forked this process, *fixture_snapshot* which fixtures it
    had set up, and *prepared* is what it made ready. *spawned*: this process has an interpreter of its own, and has
    to report its peak memory itself.
    """
    reporter = Reporter(pipe, command.attempt) if prepared is None else prepared.reporter
    reporter.begin()
    channel.current_attempt = command.attempt
    channel.current_process = reporter.process_id
    code, exit_code = 1, 0
    try:
        cleanup.renumber_main_thread()
        reporter.hold(ChildReady, at=reporter.ready_at)
        if isinstance(prepared, Prepared):
            run_prepared(prepared, command.settings)
        elif isinstance(command, CollectTests):
            from isolatedunit.child import collector

            reporter.arm_heartbeat(command.settings.heartbeat_interval)
            collector.collect(command, reporter)
            save_lines()
            cleanup.run_exit_functions()
        elif prepared is not None:
            exit_code = prepared.run(command)  # type: ignore[arg-type]
        elif isinstance(command, (RunTest, RunFunction)):
            take_settings(pipe, command.settings, reporter)
            exit_code = _run_unprepared(command, reporter, finder, fixture_snapshot, spawned)
        else:
            raise TypeError(f"a worker has nothing to do with {command!r}")
        if warmth.before_fork is not None:
            warmth.report(command)
        code = exit_code
    except BaseException as exception:
        code = _report_failure(reporter, command, exception)
    finally:
        flush_standard_streams()
        os._exit(code)


def _run_unprepared(
    command: RunTest | RunFunction,
    reporter: Reporter,
    finder: Finder | None,
    fixture_snapshot: FixtureSnapshot | None,
    spawned: bool,
) -> int:
    """Do what no template has made ready; returns what this process is to exit with."""
    if finder is None:
        reporter.flush()  # importing may take a while
    cleanup.import_needed(command)
    cleanup.limit(command.settings)
    if command.settings.debug:
        from isolatedunit.child import debugging

        reporter.flush()  # an editor may take its time, and this process is ready
        debugging.begin(command.settings)
    if isinstance(command, RunFunction):
        from isolatedunit.child import function

        return function.run(command, reporter, function.make_tracker(), spawned=spawned)
    _run_tests(command, reporter, finder or Finder(imports=True), fixture_snapshot, spawned)
    return 0


def _report_failure(reporter: Reporter, command: Work, exception: BaseException) -> int:
    """Report a failure of our own code, and return the exit code.

    If all tests had ended by then, their outcomes stand, with a warning.
    """
    if isinstance(command, RunTest) and command.tests and reporter.ended == len(command.tests):
        reporter.hold(WorkFinished)
        reporter.send(HandlesCleaned, handle_stats=without_look(exception))
        return 0
    reporter.send(ChildFailed, text=format_exception(exception, whole=True))
    return 1


def rehearse_call() -> None:
    """In a template, rehearse a call (see `rehearse`), and import what all calls need; once for all of its forks.

    The first time takes several times as long as a short call, so it is not left to each child.
    """
    global _has_rehearsed_call
    if _has_rehearsed_call:
        return
    _has_rehearsed_call = True
    try:
        from isolatedunit.child import function
        from isolatedunit.handles import tracker

        rehearsed = function.rehearsal(ChildSettings(**REHEARSAL))
        tracker.prepare_forks()
        rehearse(rehearsed, _run_through_call, times=10)
        function.forget()
    except Exception:  # dill may be where only the runner's ``sys.path`` leads: a child meets it again and reports it
        return


def _run_through_call(command: RunFunction, pipe: PipeEnd) -> None:
    from isolatedunit.child.function import PreparedCall

    prepared = PreparedCall(command, pipe)
    prepared.reporter.begin()
    prepared.reporter.hold(ChildReady, at=prepared.reporter.ready_at)
    prepared.run(command, is_rehearsed=True)
    flush_standard_streams()


def _run_tests(
    command: RunTest, reporter: Reporter, finder: Finder, fixture_snapshot: FixtureSnapshot | None, spawned: bool
) -> None:
    settings = command.settings
    tracker = cleanup.make_tracker(settings)
    grown: list[dict[str, Any]] = []
    if settings.import_directory is not None:
        from isolatedunit.instrumentation import imports

        imports.begin(os.path.join(settings.import_directory, str(os.getpid())))
    end_profile = _begin_profile(settings)
    recorder = _run_suite(command, reporter, finder, fixture_snapshot, tracker, grown)
    if end_profile is not None and not reporter.is_twin:
        end_profile()
    if reporter.is_twin:
        os._exit(0)
    if settings.loaded_directory is not None:
        from isolatedunit.instrumentation import loaded

        loaded.save(settings.loaded_directory, [test["home"] for test in command.tests])
    stopped = recorder is not None and recorder.shouldStop
    interrupted = recorder is not None and recorder.was_interrupted
    fixtures = None if recorder is None else recorder.fixture_seconds or None
    more = {} if recorder is None else recorder.say_of_process()
    owners = [recorder]
    del recorder
    finish(
        reporter,
        settings,
        spawned,
        tracker,
        grown,
        owners,
        stopped=stopped,
        interrupted=interrupted,
        fixtures=fixtures,
        **more,
    )


def _begin_profile(settings: ChildSettings) -> Callable[[], None] | None:
    """Begin to profile this process, if that is asked for; what ends it and saves the profile."""
    if settings.profiler is None or settings.profile_directory is None:
        return None
    from isolatedunit.instrumentation.profiler import begin

    return begin(settings.profiler, os.path.join(settings.profile_directory, f"{os.getpid()}-{time.monotonic():.9f}"))


def _run_suite(
    command: RunTest,
    reporter: Reporter,
    finder: Finder,
    fixture_snapshot: FixtureSnapshot | None = None,
    tracker: HandleTracker | None = None,
    grown: list[dict[str, Any]] | None = None,
) -> Recorder | None:
    """Run the tests; if growth is measured, what the process has grown by is added to *grown*."""
    found = _find(command, reporter, finder)
    lost = {number for number, test in enumerate(found) if isinstance(test, BaseException)}
    for number in lost:
        _report_lost(reporter, number, found[number])
    if len(lost) == len(found):
        return None
    tests = [test for number, test in enumerate(found) if number not in lost]
    reporter.found_at = time.monotonic()
    cleanup.take_hold()
    recorder = Recorder(reporter, found, command.settings)
    recorder.finished |= lost
    try:
        filter_warnings_once(command.settings.warnings)
        measuring = _begin_to_measure(command, reporter, finder, lost)
        if tracker is not None:
            recorder.before_test = cleanup.start(tracker).note_fixtures
        suite = Suite(finder.as_grouped(tests))
        if fixture_snapshot is None:
            suite.run(recorder)
        else:
            fixture_snapshot.run(suite, tests, recorder)
        if grown is not None and measuring is not None:
            grown += measuring()
    except BaseException as exception:
        recorder.note_escaped(exception)
    recorder.finish_silent()
    return recorder


def _find(command: RunTest, reporter: Reporter, finder: Finder) -> list[Any]:
    """The tests; in the place of each that is not found, the exception that says why."""
    found: list[Any] = []
    failure = _begin(finder)
    if failure is not None:
        return [failure] * len(command.tests)
    for planned in command.tests:
        try:
            preludes.run(command.settings.preload, reporter)
            import_module(planned["home"])
            found.append(finder.find(planned["address"]))
        except BaseException as exception:
            found.append(exception)
    if command.settings.imports:
        from isolatedunit.child.tidiness import import_early

        import_early(command.settings.imports)
    if command.settings.isolation not in ("test", "auto"):
        finder.match([planned["address"] for planned in command.tests], found)
    return found


def _begin(finder: Finder) -> BaseException | None:
    """Call what has to come before all tests of this process; the exception if it raises one."""
    if finder.begin is not None:
        try:
            finder.begin()
        except BaseException as exception:
            return exception
    return None


def _begin_to_measure(
    command: RunTest, reporter: Reporter, finder: Finder, lost: set[int]
) -> Callable[[], list[dict[str, Any]]] | None:
    """Begin to measure the growth of this process, if asked for; returns a function that reports it at the end."""
    times, limit = command.settings.hunt_leaks, command.settings.memory_growth_limit
    if not times and limit is None:
        return None
    from isolatedunit.child import leak_hunt

    def run_once() -> None:
        for number, planned in enumerate(command.tests):
            if number in lost:
                continue
            reporter.send(TestStarted, test=number)  # each run gets the whole time limit
            Suite([finder.find(planned["address"])]).run(_Silent())

    hunted = leak_hunt.hunt(run_once, times) if times else []
    before = leak_hunt.resident()
    return lambda: [*hunted, *leak_hunt.describe_growth(before, limit)]


class _Silent(unittest.TestResult):
    """The result of runs that do not count."""

    def fixture_starts(self, fixture: str) -> None:
        """Report nothing."""

    def fixture_ended(self) -> None:
        """Report nothing."""

    def note_fixture(self, fixture: str, exception: BaseException) -> None:
        """Report nothing."""


def _report_lost(reporter: Reporter, number: int, exception: BaseException) -> None:
    """Report a test that cannot be found here, such as one whose module fails to import, as an error."""
    reporter.hold(TestStarted, test=number)
    text = f"{exception}\n" if isinstance(exception, TestNotFound) else None  # it says all that there is to say
    reporter.hold(OutcomeNoted, test=number, kind="addError", **describe_exception(exception, text))
    reporter.hold(TestEnded, test=number, duration=0.0, counted=True, succeeded=False, found=False)
