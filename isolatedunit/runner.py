"""`IsolatedTestRunner`, and the bridge from a run's events to a unittest result."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import sys
import threading
import unittest
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO
from unittest.case import _SubTest, _subtest_msg_sentinel  # type: ignore[attr-defined]
from unittest.runner import _WritelnDecorator
from unittest.suite import _ErrorHolder  # type: ignore[attr-defined]

from isolatedunit.caller import IsolatedCaller, options_from
from isolatedunit.choosing import choose, with_consequences
from isolatedunit.configuration import load_options
from isolatedunit.engine.run import Run
from isolatedunit.events import Event, Listener, TestFinished
from isolatedunit.handlers import Handlers
from isolatedunit.history import History
from isolatedunit.messages import PARAMETER
from isolatedunit.options import Options
from isolatedunit.planning import outcome_of, plan_one, plan_suite
from isolatedunit.reporters.annotations import Annotations, system_of
from isolatedunit.reporters.blocks import Telling, no_command
from isolatedunit.reporters.failures import tellers_of
from isolatedunit.reporters.files import Origin
from isolatedunit.reporters.log import ProcessLog
from isolatedunit.reporters.secrets import Discreet
from isolatedunit.reporters.streams import HarmlessStream, RetellingStream
from isolatedunit.reporting import Audience, writes_reports
from isolatedunit.results import Note, PlannedTest, TestReport
from isolatedunit.signals import heeding_signals
from isolatedunit.statistics import Statistics

if TYPE_CHECKING:
    from isolatedunit.backends import Begun
    from isolatedunit.calls import IsolatedTestOptions
    from isolatedunit.reporters.journal import PastRun
    from isolatedunit.reporters.progress import Display
    from isolatedunit.serving import LivePage

__unittest = True  # leaves this module's frames out of unittest's tracebacks

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class ChildError(Exception):
    """Stands for the exception that a test raised in its child: *text* is the child's traceback.

    *summary* is one line that says what it was: for runners that show the first line of an exception's text.
    """

    def __init__(self, text: str, summary: str) -> None:
        super().__init__(text, summary)

    def __str__(self) -> str:
        text, summary = self.args
        return text if text.startswith(summary) else f"{summary}\n{text}"


class ChildFailure(ChildError, AssertionError):
    """The same for a failed assertion."""


class ReportedTest:
    """Takes a test's place in a result, where the test itself never was in this process."""

    failureException = AssertionError

    def __init__(self, planned: PlannedTest) -> None:
        self._planned = planned

    def id(self) -> str:
        """unittest's id of the test."""
        return self._planned.id

    def shortDescription(self) -> str | None:
        """The first line of its docstring."""
        return self._planned.description

    def countTestCases(self) -> int:
        """One."""
        return 1

    def __str__(self) -> str:
        return self._planned.name

    def __repr__(self) -> str:
        return f"<{self._planned.id}>"


class _Shown(str):
    """How an object of a child looks: it stands for the object, and looks like it."""

    __repr__ = str.__str__


class ReportedSubTest(_SubTest):  # type: ignore[misc]
    """Takes a subtest's place in a result."""

    def __init__(self, test: Any, told: Mapping[str, str]) -> None:
        self.test_case = test
        self.failureException = test.failureException
        self._told = told
        self._message: Any = told.get("message", _subtest_msg_sentinel)
        self.params = {
            name.removeprefix(PARAMETER): _Shown(shown) for name, shown in told.items() if name.startswith(PARAMETER)
        }

    def id(self) -> str:
        """unittest's id of the subtest."""
        return self._told["id"]

    def shortDescription(self) -> str | None:
        """The first line of the test's docstring."""
        description: str | None = self.test_case.shortDescription()
        return description

    def _subDescription(self) -> str:
        return self._told["parameters"]

    def __str__(self) -> str:
        return self._told["description"]


class ResultBridge:
    """Tells a unittest result of each report as if the test had run here: a listener.

    `connect` says which result; *stop* is called when that says ``shouldStop``. *echo* writes what
    a test wrote to this process's own streams, in place of into its error text. *telling* is how failures are told.
    """

    def __init__(self, telling: Telling = Telling(), *, echo: bool = False) -> None:  # noqa: B008 - it never changes
        self._telling = telling
        self._echo = echo
        self._result: Any = None
        self._tests: Mapping[int, Any] = {}
        self._stop: Callable[[], None] = lambda: None

    def connect(self, result: Any, tests: Mapping[int, Any], stop: Callable[[], None]) -> None:
        """From now on tell *result*; *tests* are those that exist in this process, by their number."""
        self._result, self._tests, self._stop = result, tests, stop

    def handle(self, event: Event) -> None:
        """Replay a report."""
        if isinstance(event, TestFinished):
            self._replay(event.report)
            if getattr(self._result, "shouldStop", False):
                self._stop()

    def _replay(self, report: TestReport) -> None:
        result = self._result
        test = self._test_of(report)
        if self._echo:
            sys.stdout.write(report.stdout)
            sys.stderr.write(report.stderr)
        told_already = self._echo or getattr(result, "buffer", False)
        texts = replace(self._telling, has_output=told_already).texts(report) if report.notes else []
        if report.is_fixture:
            for note, text in zip(report.notes, texts, strict=True):
                self._add(test, note, text)
            return
        if report.counted:
            result.startTest(test)
        for note, text in zip(report.notes, texts, strict=True):
            self._add(test, note, text)
        if hasattr(result, "addDuration") and report.counted:
            result.addDuration(test, report.duration)
        if report.succeeded and report.outcome in ("passed", "skipped"):  # skipped: a subtest of it
            result.addSuccess(test)
        result.stopTest(test)

    def _test_of(self, report: TestReport) -> Any:
        if report.planned is None:
            return _ErrorHolder(report.id)
        return self._tests.get(report.planned.number) or ReportedTest(report.planned)

    def _add(self, test: Any, note: Note, text: str) -> None:
        if note.subtest is not None:
            subtest = ReportedSubTest(test, note.subtest)
            if note.kind == "addSkip":
                self._result.addSkip(subtest, note.text)
            else:
                self._result.addSubTest(test, subtest, as_exc_info(note, text))
        elif note.kind == "addSkip":
            self._result.addSkip(test, note.text)
        elif note.kind == "addUnexpectedSuccess":
            self._result.addUnexpectedSuccess(test)
        else:
            getattr(self._result, note.kind)(test, as_exc_info(note, text))


def as_exc_info(note: Note, text: str) -> ExcInfo:
    """What ``sys.exc_info()`` might have been, for a result to take."""
    kind = ChildFailure if note.kind == "addFailure" else ChildError
    try:
        __tracebackhide__ = True
        raise kind(text, _summary_of(note))
    except ChildError:
        return sys.exc_info()  # type: ignore[return-value]


def _summary_of(note: Note) -> str:
    """The exception on one line, as a traceback would end."""
    words = note.message.strip().partition("\n")[0]
    return f"{note.exception}: {words}" if note.exception and words else note.exception or words


class _TellsChildsText(unittest.TestResult):
    """Put into a result class's ancestry, in front of `unittest.TestResult`: texts from a child
    are taken as they are, since there is no traceback here that they could be made from."""

    def _exc_info_to_string(self, err: Any, test: Any) -> str:
        if isinstance(err[1], ChildError):
            return str(err[1].args[0])
        return super()._exc_info_to_string(err, test)  # type: ignore[misc,no-any-return]


@contextlib.contextmanager
def hearing_children(result: Any) -> Iterator[None]:
    """While this lasts, *result* takes texts from children as they are."""
    cls = type(result)
    if not isinstance(result, unittest.TestResult) or issubclass(cls, _TellsChildsText):
        yield
        return
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    bases = (_TellsChildsText,) if cls is unittest.TestResult else (cls, _TellsChildsText)
    result.__class__ = type(cls.__name__, bases, names)
    try:
        yield
    finally:
        result.__class__ = cls


class IsolatedTestRunner(IsolatedCaller, unittest.TextTestRunner):
    """A `unittest.TextTestRunner` that runs every test in a process of its own, and functions, too.

    Takes what `unittest.TextTestRunner` takes, and the options of isolatedunit as keyword
    arguments: ``IsolatedTestRunner(process_timeout=5, max_concurrent_processes=2)``. What is not
    given comes from the environment, the configuration files and the defaults, in this order; or
    from *options*, if that is given. *listeners* hear of all events of the run. Raises
    `OptionError`.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        descriptions: bool = True,
        verbosity: int = 1,
        failfast: bool = False,
        buffer: bool = False,
        resultclass: Any = None,
        warnings: str | None = None,
        *,
        tb_locals: bool = False,
        durations: int | None = None,
        options: Options | IsolatedTestOptions | None = None,
        listeners: Sequence[Listener] = (),
        test_sdk_options: Any = None,
        **values: Any,
    ) -> None:
        more = {"durations": durations} if sys.version_info >= (3, 12) else {}
        stream = HarmlessStream(sys.stderr if stream is None else stream)  # type: ignore[assignment]
        unittest.TextTestRunner.__init__(
            self, stream, descriptions, verbosity, failfast, buffer, resultclass, warnings, tb_locals=tb_locals, **more
        )
        self.statistics = Statistics()
        self._listeners = tuple(listeners)
        IsolatedCaller.__init__(self, [self.statistics, ProcessLog(), *self._listeners], test_sdk_options)
        if options is None:
            options = load_options(Options())
        else:
            options, self.test_sdk_options = options_from(options, load_options(Options()))
        options = with_consequences(options.with_values(values, type(self).__name__))
        self.failfast = bool(failfast or options.failfast)
        self.buffer = bool(buffer or options.buffer)
        self.tb_locals = bool(tb_locals or options.tb_locals)
        accepted: tuple[str, ...] = ()
        if options.leaks_baseline is not None and os.path.exists(options.leaks_baseline):
            from isolatedunit.accepting import read_baseline

            accepted = read_baseline(options.leaks_baseline)
        self.options = replace(
            options,
            failfast=self.failfast,
            buffer=self.buffer,
            tb_locals=self.tb_locals,
            allowed_leaks=(*options.allowed_leaks, *accepted),
        )
        self.durations = durations
        self.interrupted = False
        self.report_lost = False
        self.not_run: tuple[str, ...] = ()
        self.planned_in_all_shards = 0
        # what the command has, and a program has not: marks for a CI system, a drawing on the terminal, a template
        self.annotates = False
        self.live: LivePage | None = None
        self.begun: Begun | None = None
        self.display: Display | None = None
        self.command_for: Callable[[TestReport], str | None] = no_command
        self.command_for_failed: str | None = None

    def get_statistics(self) -> dict[str, Any]:
        """What the runner's runs have cost so far, in seconds and bytes."""
        return self.statistics.as_dict()

    def run(self, test: Any) -> Any:
        """Run a test or a suite that exists in this process; gives the result, as unittest does.

        After a Ctrl-C the results so far are printed, and `KeyboardInterrupt` is raised.
        """
        result = self._run(lambda _: plan_suite(test))
        if self.interrupted:
            raise KeyboardInterrupt
        return result

    def run_source(self, source: Mapping[str, Any]) -> Any:
        """Run the tests that *source* names, which are listed in a child; this process imports none.

        Raises `CollectionError`, and `Interrupted` when that happens before the tests are known.
        """
        return self._run(lambda run: (run.collect(source), {}), json.dumps([source, self.options.patterns]))

    def replay(self, past: PastRun) -> Any:
        """Show a run that was written down before as if it ran now, to all listeners; gives the result."""
        audience, bridge = self._gather(past.origin)

        def dispatch(result: Any) -> None:
            bridge.connect(result, {}, lambda: None)
            with hearing_children(result):
                audience.hear(past.events())

        result = self._run_planned(dispatch, audience, is_past=True)
        self.interrupted = audience.summary.interrupted
        self._conclude(audience)
        return result

    def _run(
        self, plan: Callable[[Run], tuple[Sequence[PlannedTest], Mapping[int, Any]]], source: str | None = None
    ) -> Any:
        path, shard = self.options.history, self.options.shard
        history = None if path is None else History(path, only_reads=shard is not None)
        audience, bridge = self._gather(Origin.of(self.options, writes_reports(self.options)), history)
        run = Run(
            self.options,
            audience.listeners,
            warnings=self.warnings,
            answer=self._handlers.answer,
            listens_at_once=bool(self._handlers),
            begun=self.begun,
        )
        try:
            with heeding_signals(run):
                if self.live is not None:
                    self.live.connect(run)
                if history is not None and source is not None:
                    run.expect_trunks(history.read_trunks(source))
                tests, originals = plan(run)
                dispatch = self._dispatcher(run, bridge, history, tests, originals)
                result = self._run_planned(dispatch, audience)
        finally:
            run.close()
            self.interrupted = run.interrupts > 0
            self.not_run = audience.summary.not_run
        for line in run.measured:
            self.stream.writeln(line)
        if history is not None and source is not None:
            history.learn_trunks(source, run.trunks.wanted)
        if history is not None and history.problem is not None:
            self.stream.writeln(f"isolatedunit: no history is kept (--history none does without): {history.problem}")
        self._conclude(audience)
        return result

    def _gather(self, origin: Origin, history: History | None = None) -> tuple[Audience, ResultBridge]:
        telling = Telling(self.options.show_output, self.buffer, self.command_for)
        bridge = ResultBridge(telling)
        shown: list[Listener] = [one for one in (self.display, self.live) if one is not None]
        options = replace(self.options, verbosity=self.verbosity, durations=self.durations)
        kept = [] if history is None else [Discreet([history])]
        more: list[Listener] = [*kept, *self._listeners, *shown, bridge]
        more += tellers_of(options, telling, self.stream.writeln, on_terminal=self.display is not None)
        system = system_of(self.options.annotations) if self.annotates else None
        if system is not None:
            self.stream.goes_to(system)
            more.append(Annotations(system, self.stream.write_as_it_is))
        return Audience(options, origin, self.statistics, self.stream.writeln, more, self.command_for_failed), bridge

    def _conclude(self, audience: Audience) -> None:
        self.report_lost = audience.conclude()
        self.stream.flush()

    def _dispatcher(
        self,
        run: Run,
        bridge: ResultBridge,
        history: History | None,
        tests: Sequence[PlannedTest],
        originals: Mapping[int, Any],
    ) -> Callable[[Any], None]:
        """What runs those of the tests that are chosen, in the order that was chosen."""
        chosen = choose(tests, self.options, {} if history is None else history.read())
        if self.display is not None:
            self.display.expect(chosen.expectations.seconds)
        self.planned_in_all_shards = len(tests)
        for note in chosen.notes:
            self.stream.writeln(f"isolatedunit: {note}")

        stop_reason = "a test failed (--failfast)" if self.failfast else "the result said so (shouldStop)"

        def dispatch(result: Any) -> None:
            bridge.connect(result, originals, lambda: run.stop(stop_reason))
            for reminder in chosen.reminders:
                run.warn(reminder)
            with hearing_children(result):
                run.execute(chosen.tests, chosen.expectations, chosen.shard)

        return dispatch

    def _run_planned(self, execute: Callable[[Any], None], audience: Audience, *, is_past: bool = False) -> Any:
        def dispatch(result: Any) -> None:
            execute(result)
            if audience.durations is not None:
                self._print_after_errors(result, audience.durations.lines(self.durations or 0, self.verbosity))

        stream = self.stream
        if is_past or self.options.events is not None:  # a run is to look the same when it is shown again
            self.stream = _WritelnDecorator(RetellingStream(stream, lambda: audience.summary.seconds))
        try:
            return super().run(dispatch)  # type: ignore[arg-type]
        finally:
            self.stream = stream

    def _print_after_errors(self, result: Any, lines: Sequence[str]) -> None:
        print_errors = result.printErrors

        def print_errors_and_lines() -> None:
            print_errors()
            for line in lines:
                self.stream.writeln(line)

        result.printErrors = print_errors_and_lines


class _Session:
    """What tests share that isolate themselves under a foreign runner: one run, kept open."""

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self._bridge = ResultBridge(echo=True)
        self._numbers = itertools.count()
        # what the child writes is written here, where the foreign runner expects it
        options = replace(load_options(Options()), max_concurrent_processes=1)
        self._run = Run(options, [self._bridge], answer=Handlers().answer)

    def run_case(self, test: unittest.TestCase, result: Any) -> None:
        """Run one test in a child and tell *result*."""
        planned = plan_one(next(self._numbers), test)
        self._bridge.connect(result, {planned.number: test}, lambda: None)
        with hearing_children(result), outcome_of(test, result):
            self._run.execute([planned])

    def close(self) -> None:
        """End its processes."""
        if self.process_id == os.getpid():
            self._run.close()


_session: _Session | None = None
_session_lock = threading.RLock()


def run_isolated_case(test: unittest.TestCase, result: Any = None) -> Any:
    """Run *test* in a child and tell *result*, under whatever runner this process has."""
    global _session
    run_stopped: Any = lambda: None  # noqa: E731
    if result is None:
        result = test.defaultTestResult()  # as TestCase.run does
        getattr(result, "startTestRun", lambda: None)()
        run_stopped = getattr(result, "stopTestRun", run_stopped)
    with _session_lock:
        if _session is None or _session.process_id != os.getpid():
            _session = _Session()
            atexit.register(_session.close)
        try:
            _session.run_case(test, result)
        except BaseException:  # a Ctrl-C, too: what runs must end
            broken, _session = _session, None
            atexit.unregister(broken.close)
            broken.close()
            raise
    run_stopped()
    return result
