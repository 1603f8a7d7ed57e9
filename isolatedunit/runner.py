"""`IsolatedTestRunner`: runs unittest tests, and functions, in processes of their own."""

from __future__ import annotations

import json
import logging
import os
import sys
import unittest
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TextIO
from unittest.runner import _WritelnDecorator

from isolatedunit.backends.registry import fork_here, open_backend
from isolatedunit.calls.executor import IsolatedCaller, options_from
from isolatedunit.config.consequences import count_jobs, for_forks, lends_terminal, with_consequences
from isolatedunit.config.milliseconds import refuse_milliseconds
from isolatedunit.config.options import Options
from isolatedunit.config.sources import load_options
from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event, Listener
from isolatedunit.model.results import PlannedTest, TestReport
from isolatedunit.reporters.contract import NO_COMMANDS, Origin
from isolatedunit.reporters.escaping import printable, without_commands
from isolatedunit.reporters.listeners import guard_listeners
from isolatedunit.reporters.registry import ReporterSet, writes_reports
from isolatedunit.reporters.statistics import Statistics
from isolatedunit.reporters.terminal.annotations import OBEYING_SYSTEMS, Annotations, system_of
from isolatedunit.reporters.terminal.failures import (
    FailureFormatter,
    make_printers,
    prints_failures_at_once,
)
from isolatedunit.reporters.terminal.log import ProcessLog
from isolatedunit.reporters.terminal.streams import FilteredStream, LosableStream, rewrite_elapsed
from isolatedunit.reporters.timeline import Timeline
from isolatedunit.result_bridge import ResultBridge, showing_child_errors
from isolatedunit.system.debuggers import stays_for_debugger
from isolatedunit.system.signals import deferring_interrupts, heeding_signals

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from isolatedunit.backends.contract import Prestarted
    from isolatedunit.calls.option_values import OptionValues
    from isolatedunit.calls.options import IsolatedTestOptions
    from isolatedunit.config.option_values import RunnerOptionValues
    from isolatedunit.engine.run import Run
    from isolatedunit.engine.scheduling.standing import Standings
    from isolatedunit.handles.databases import TestDatabases
    from isolatedunit.history.store import History
    from isolatedunit.reporters.files.event_log import PastRun
    from isolatedunit.reporters.run_statistics import RunStatistics
    from isolatedunit.reporters.terminal.progress import Display
    from isolatedunit.reporters.terminal.progress_lines import ProgressLines
    from isolatedunit.reporters.web.live import LivePage
    from isolatedunit.sdk.option_values import SDKOptionValues
    from isolatedunit.sdk.options import TestSDKOptions

__unittest = True  # unittest leaves the frames of such modules out of tracebacks


class IsolatedTestRunner(IsolatedCaller, unittest.TextTestRunner):
    """A `unittest.TextTestRunner` that runs every test in a process of its own, and also functions.

    It accepts the arguments of `unittest.TextTestRunner`, and the options of isolatedunit as keyword
    arguments: ``IsolatedTestRunner(process_timeout=5, max_concurrent_processes=2)``. Options that are
    not given come from *options* if that is given, a mapping or an object, or else from the environment, the
    configuration files and the defaults, in this order. ``IsolatedTestRunner(logger, options)`` works as well: *logger*
    then logs the processes of ``enable_process_logging``. *listeners* receive all events of the run: functions, or
    objects with a method ``handle``. One that raises receives no more, and the runner prints why.

    With ``template="fork"``, which is for POSIX, tests run in forks of the process that calls `run`, as it is then, and
    not of an interpreter that has imported nothing else: what was set up before is set up in each of them.
    Raises `OptionError` for an unknown option or an unusable value.
    """

    # only the command, or another face, sets these: whether what it discovers is all that there is, lines of source
    # (texts in a result are to be unittest's own for programs), CI annotations, the test databases of this process,
    # the progress display, and a template started early
    discovers_all = True
    shows_source = False
    annotates = False
    live: LivePage | None = None
    databases: TestDatabases | None = None
    prestarted: Prestarted | None = None
    display: Display | None = None
    progress_lines: ProgressLines | None = None
    commands = NO_COMMANDS

    def __init__(
        self,
        stream: TextIO | logging.Logger | None = None,
        descriptions: bool | Options | IsolatedTestOptions | OptionValues = True,
        verbosity: int = 1,
        failfast: bool = False,
        buffer: bool = False,
        resultclass: Any = None,
        warnings: str | None = None,
        *,
        tb_locals: bool = False,
        durations: int | None = None,
        options: Options | IsolatedTestOptions | OptionValues | None = None,
        listeners: Iterable[Listener | Callable[[Event], object]] = (),
        test_sdk_options: TestSDKOptions | SDKOptionValues | None = None,
        logger: logging.Logger | None = None,
        preload: Sequence[str] | None = None,
        initializer: Callable[..., Any] | None = None,
        initargs: Sequence[Any] = (),
        template: Literal["pristine", "fork"] = "pristine",
        **values: Unpack[RunnerOptionValues],
    ) -> None:
        if not isinstance(descriptions, int):  # the second of (logger, options)
            options, descriptions = descriptions, True
        if isinstance(stream, logging.Logger):
            stream, logger = None, stream
        _refuse_stream(stream, type(self).__name__)
        more = {"durations": durations} if sys.version_info >= (3, 12) else {}
        shown: Any = FilteredStream(LosableStream(sys.stderr if stream is None else stream), printable)
        unittest.TextTestRunner.__init__(
            self, shown, descriptions, verbosity, failfast, buffer, resultclass, warnings, tb_locals=tb_locals, **more
        )
        self.statistics = Statistics()
        self._listeners = guard_listeners(listeners, self.stream.writeln)
        calls = Timeline()
        self.statistics.follow(calls)
        self._process_log = ProcessLog(logger)
        self._forks_here = _read_template(template)
        options = self._read_options(options, values if preload is None else {**values, "preload": preload})
        IsolatedCaller.__init__(
            self,
            [calls, self.statistics, self._process_log, *self._listeners],
            self.stream.writeln,  # trap: a method of this runner would keep it alive as long as its calls' thread
            test_sdk_options or self._sdk_of_options,
            preload or (),
            initializer,
            initargs,
        )
        self.failfast = bool(failfast or options.failfast)
        self.buffer = bool(buffer or options.buffer)
        self.tb_locals = bool(tb_locals or options.tb_locals)
        self.options = replace(
            options,
            failfast=self.failfast,
            buffer=self.buffer,
            tb_locals=self.tb_locals,
            allowed_leaks=(*options.allowed_leaks, *_accepted_leaks(options.leaks_baseline)),
        )
        self._begin(durations)

    def _begin(self, durations: int | None) -> None:
        self.durations = durations
        self._scope = "tests"
        self.interrupted = False
        self.report_lost = False
        self.not_run: tuple[str, ...] = ()
        self.planned_in_all_shards = 0
        self.loaded: dict[str, set[str]] = {}

    def _read_options(self, given: Any, values: Mapping[str, Any]) -> Options:
        """The options that were *given*, or those of files and the environment, with these *values*."""
        self._sdk_of_options = None
        options = load_options(Options())
        if given is not None:
            options, self._sdk_of_options = options_from(given, options, type(self).__name__)
        refuse_milliseconds(values, type(self).__name__)
        options = options.with_values(values, type(self).__name__)
        return with_consequences(options)

    def get_statistics(self) -> RunStatistics:
        """The costs of this runner's runs and calls so far, in seconds and bytes: attributes, or items by name."""
        from isolatedunit.reporters.run_statistics import RunStatistics

        return RunStatistics(**self.statistics.as_dict())

    def run(self, test: Any) -> Any:
        """Run a test or suite that exists in this process, and return the result, as unittest does.

        Under a debugger the tests run in this process, too, since it would see nothing of others.
        After a Ctrl-C, prints the results so far and raises `KeyboardInterrupt`. With ``template="fork"``, raises
        `ForkRefused` if this process has threads or network connections, which its forks would lose or share.
        """
        if stays_for_debugger():
            return unittest.TextTestRunner.run(self, test)
        self._scope = "tests"
        from isolatedunit.collection.from_suite import is_django_testing, plan_suite  # the command has no suite

        if self.databases is None and is_django_testing():
            from isolatedunit.handles.databases import adopted

            with adopted(count_jobs(self.options)) as self.databases:
                result = self._run_in_forks(test)
            self.databases = None
        elif self._forks_here:
            result = self._run_in_forks(test)
        else:
            result = self._run(lambda run: plan_suite(test, run.warn))
        if self.interrupted:
            raise KeyboardInterrupt
        return result

    def _run_in_forks(self, suite: Any) -> Any:
        warnings: list[str] = []
        from isolatedunit.collection.from_suite import plan_inherited

        tests, originals, inherited = plan_inherited(suite, warnings.append)
        before, databases = self.options, self.databases
        self.options = for_forks(before)
        if databases is not None:
            databases.fork_safely()
            self.options = replace(self.options, max_concurrent_processes=databases.slots)

        def plan(run: Run) -> tuple[Sequence[PlannedTest], Mapping[int, Any]]:
            for text in warnings:
                run.warn(text)
            if databases is not None:
                from isolatedunit.handles.databases import Caretaker

                run.listen(Caretaker(databases, originals, run.control.stop))
            return tests, originals

        begin = None if databases is None else databases.begin
        self.prestarted = fork_here(inherited, begin, packages=() if databases is None else ("django",))
        try:
            result = self._run(plan)
        finally:
            self.prestarted.close()
            self.prestarted, self.options = None, before
        if databases is not None and databases.refused:
            self.stream.writeln(f"isolatedunit: {databases.refused[0]}")
            if result.wasSuccessful():  # the test has dealt with the exception
                result.errors.append((suite, databases.refused[0]))
        return result

    def run_source(self, source: Mapping[str, Any]) -> Any:
        """Run the tests that *source* names. A child collects them; this process imports none of them.

        Raises `CollectionError` if they cannot be collected, and `Interrupted` if a Ctrl-C comes before they are.
        """
        options = self.options
        discovers = "discover" in source and not options.patterns
        self._scope = ("all" if self.discovers_all else "modules") if discovers else "tests"
        locates = (options.junit_xml or options.events or options.html or options.serve) is not None

        def plan(run: Run) -> tuple[Sequence[PlannedTest], Mapping[int, Any]]:
            tests = run.collect(source, locates=locates)
            if not tests:
                from isolatedunit.collection.discovery import explain_nothing

                for text in explain_nothing(source, options):
                    run.warn(text)
            return tests, {}

        return self._run(plan, json.dumps([source, options.patterns]))

    def replay(self, past: PastRun) -> Any:
        """Send the events of a recorded run to all listeners as if it ran now, and return the result."""
        reporters, bridge = self._gather(past.origin)

        def dispatch(result: Any) -> None:
            bridge.connect(result, {}, lambda: None)
            with showing_child_errors(result):
                reporters.publish(past.events())

        result = self._run_planned(dispatch, reporters, is_past=True)
        self.interrupted = reporters.timeline.interrupted
        self._conclude(reporters)
        return result

    def _run(
        self, plan: Callable[[Run], tuple[Sequence[PlannedTest], Mapping[int, Any]]], source: str | None = None
    ) -> Any:
        # not at the top: the first interpreter for calls starts before the engine is imported
        from isolatedunit.engine.class_evidence import read_standings
        from isolatedunit.engine.run import Run

        path, shard = self.options.history, self.options.shard
        history = None if path is None else _open_history(path, only_reads=shard is not None)
        reporters, bridge = self._gather(Origin.of(self.options, names_system=writes_reports(self.options)), history)
        with deferring_interrupts() as deferred:
            run = Run(
                self.options,
                reporters.listeners,
                open_backend,
                warnings=self.warnings,
                answer=self._handlers.answer,
                listens_at_once=lambda: bool(self._handlers),
                prestarted=self.prestarted,
            )
            try:
                with heeding_signals(run.control, run.control.pass_on if lends_terminal(self.options) else None):
                    if deferred.pending:
                        run.control.interrupt()
                        deferred.pending = 0
                    reporters.lifeline.connect(run.control.end)
                    if self.live is not None:
                        self.live.connect(run.control)
                    run.set_up(reporters.learn_secrets)
                    if history is not None and source is not None:
                        run.expect_shared_imports(history.read_shared_imports(source))
                    tests, originals = plan(run)
                    standings = None
                    # tests in forks of this process depend on more than their sources, and a cluster has no history
                    if not self._forks_here and self.databases is None and self.options.executor == "local":
                        past = None if history is None else history.read_classes
                        standings = read_standings(past, self.options, tests, run.warn)
                    dispatch = self._dispatcher(run, bridge, history, tests, originals, standings)
                    result = self._run_planned(dispatch, reporters)
            finally:
                run.close()
                self.loaded = run.loaded
                self._handlers.end_run(run.id)
                self.interrupted = run.control.interrupts + deferred.pending > 0
                self.not_run = reporters.timeline.not_run
        if history is not None and standings is not None:
            history.learn_classes(standings.learned)
        for line in run.measured:
            self.stream.writeln(line)
        if history is not None and source is not None:
            history.learn_shared_imports(source, run.shared_imports.wanted)
        if history is not None and history.problem is not None:
            self.stream.writeln(
                f"isolatedunit: the history was not updated (--history none turns it off): {history.problem}"
            )
        self._conclude(reporters)
        return result

    def _gather(self, origin: Origin, history: History | None = None) -> tuple[ReporterSet, ResultBridge]:
        keep_diff = _keep_diff_beside(self.options.history) if self.shows_source else None
        formatter = FailureFormatter(
            self.options.show_output, self.buffer, self.commands.of_test, self.shows_source, keep_diff
        )
        bridge = ResultBridge(formatter)
        options = replace(self.options, verbosity=self.verbosity, durations=self.durations)
        write_line = self.stream.writeln
        others: list[Listener] = [*self._listeners, bridge]
        others += make_printers(options, formatter, write_line, on_terminal=self.display is not None)
        system = system_of(self.options.annotations) if self.annotates else None
        if system is not None:
            if system in OBEYING_SYSTEMS:
                self.stream.add_filter(without_commands)
            others.append(Annotations(system, self.stream.write_unfiltered))
        reporters = ReporterSet(
            options,
            origin,
            self.statistics,
            write_line,
            display=self.display or self.progress_lines,
            live=self.live,
            redacted=[] if history is None else [history],
            others=others,
            rerun_command=lambda: self.commands.of_failed if history is None or history.problem is None else None,
            process_log=self._process_log,
            prints_at_once=self._prints_at_once,
            commands=self.commands,
        )
        return reporters, bridge

    @property
    def _prints_at_once(self) -> bool:
        return prints_failures_at_once(self.options, on_terminal=self.display is not None)

    def _conclude(self, reporters: ReporterSet) -> None:
        self.report_lost = reporters.conclude()
        self.stream.flush()

    def _dispatcher(
        self,
        run: Run,
        bridge: ResultBridge,
        history: History | None,
        tests: Sequence[PlannedTest],
        originals: Mapping[int, Any],
        standings: Standings | None = None,
    ) -> Callable[[Any], None]:
        """Return a function that runs the selected tests in the selected order."""
        from isolatedunit.engine.scheduling.selection import choose
        from isolatedunit.engine.scheduling.units import group_of

        unreached = history.read_unreached() if history is not None and self.options.last_failed else ()
        chosen = choose(tests, self.options, {} if history is None else history.read(), unreached)
        for shown in (self.display, self.live):
            if shown is not None:
                groups = {test.id: group_of(test, self.options) for test in chosen.tests}
                shown.clock = lambda: run.now
                shown.estimate.expect(chosen.expectations.seconds, groups)
        self.planned_in_all_shards = chosen.in_all_shards
        complaints = self._complain(tests)
        for note in chosen.notes:
            self.stream.writeln(f"isolatedunit: {note}")

        stop_reason = "a test failed (--failfast)" if self.failfast else "the test result asked for it (shouldStop)"

        def dispatch(result: Any) -> None:
            bridge.connect(result, originals, lambda: run.control.stop(stop_reason))
            run.report_passing_subtests(bridge.wants_passing_subtests)
            run.report_starts(bridge.wants_starts)
            execute = self._executor_of(run, bridge.wants_passing_subtests, standings)
            for reminder in chosen.reminders:
                run.warn(reminder)
            with showing_child_errors(result):
                execute(chosen.tests, chosen.expectations, chosen.shard, complaints)

        return dispatch

    def _executor_of(self, run: Run, passing_subtests: bool, standings: Standings | None) -> Callable[..., None]:
        """What runs the tests that were chosen: the run itself, or a cluster."""
        if self.options.executor == "local":
            return partial(run.execute, is_last=True, standings=standings)
        from isolatedunit.executors.registry import open_cluster
        from isolatedunit.executors.remote import RemoteExecution

        remote = RemoteExecution(run, lambda wake: open_cluster(self.options, run.id, wake), warnings=self.warnings)
        remote.passing_subtests = passing_subtests
        return remote.execute

    def _complain(self, tests: Sequence[PlannedTest]) -> list[TestReport]:
        """Reports on what is wrong with the quarantine; of all shards, the first has them."""
        quarantine, shard = self.options.quarantine, self.options.shard
        if not quarantine or (shard is not None and shard[0] > 1):
            return []
        from isolatedunit.engine.scheduling.quarantine import complain

        return complain(quarantine, tests, scope=self._scope)

    def _run_planned(self, execute: Callable[[Any], None], reporters: ReporterSet, *, is_past: bool = False) -> Any:
        def dispatch(result: Any) -> None:
            execute(result)
            self._print_errors_and(reporters.tables(self.verbosity), result)

        stream, timeline = self.stream, reporters.timeline
        filters = []
        if is_past or self.options.events is not None:  # a replay must print the same as the run that it repeats
            filters.append(rewrite_elapsed(lambda: timeline.seconds))
        if sys.version_info < (3, 12):  # from when on unittest does this itself
            filters.append(lambda text: "NO TESTS RAN" if text == "OK" and not timeline.counts.tests else text)
        if filters:
            self.stream = _WritelnDecorator(FilteredStream(stream, *filters))
        try:
            return super().run(dispatch)  # type: ignore[arg-type]
        finally:
            self.stream = stream

    def _print_errors_and(self, lines: Sequence[str], result: Any) -> None:
        """Have the result print these *lines* behind the errors, or without them if the run has printed them before."""
        print_errors, at_once = result.printErrors, self._prints_at_once
        is_unittests = getattr(type(result), "printErrors", None) is unittest.TextTestResult.printErrors

        def print_errors_and_lines() -> None:
            if at_once and is_unittests:
                self.stream.writeln()
            else:
                print_errors()
            # unittest draws a line below all of this itself
            is_ruled = lines[-1:] == [getattr(result, "separator2", "")]
            for line in lines[:-1] if is_ruled else lines:
                self.stream.writeln(line)

        if lines or at_once:
            result.printErrors = print_errors_and_lines


def _open_history(path: str, *, only_reads: bool) -> History:
    from isolatedunit.history.store import History  # only here: its database takes 3 ms to import

    return History(path, only_reads=only_reads)


def _keep_diff_beside(history: str | None) -> Callable[[str, str], str | None] | None:
    """What keeps diffs that are too long to show; None without a history, as such a run leaves no files."""
    if history is None:
        return None
    from isolatedunit.reporters.terminal.diffs import DiffFiles  # as above: it has files beside the history

    return DiffFiles(history).keep


def _read_template(value: str) -> bool:
    """Whether tests run in forks of this process; raises `OptionError`."""
    if value not in ("pristine", "fork"):
        raise OptionError(f"template: invalid value {value!r}; expected 'pristine' or 'fork'.")
    return value == "fork"


def _refuse_stream(stream: Any, where: str) -> None:
    if stream is not None and not hasattr(stream, "write"):
        raise OptionError(
            f"{where}: stream: invalid value {stream!r:.100}; expected a stream or a logger. Pass options as options=, "
            "or behind a logger."
        )


def _accepted_leaks(baseline: str | None) -> tuple[str, ...]:
    if baseline is None or not os.path.exists(baseline):
        return ()
    from isolatedunit.config.leak_policy import read_baseline

    return read_baseline(baseline)
